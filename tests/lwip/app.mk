# lwIP's own unit tests, as they come: their configuration (test/unit/lwipopts.h), their sys_arch, and
# check, built for one process. The sources may still be to fetch, hence the lists.
LWIP := $(DEPS)/lwip
APP_SOURCES := $(APP_FOLDER)/support.c $(DEPS)/check/lib/libcompat.c $(DEPS)/check/src/check.c \
    $(patsubst %,$(DEPS)/check/src/check%.c,_error _list _log _msg _pack _print _run _str) \
    $(patsubst %,$(LWIP)/test/unit/%.c,lwip_unittests api/test_sockets arch/sys_arch \
        core/test_def core/test_dns core/test_mem core/test_netif core/test_pbuf core/test_timers \
        dhcp/test_dhcp etharp/test_etharp ip4/test_ip4 ip6/test_ip6 mdns/test_mdns mqtt/test_mqtt \
        ppp/test_pppos tcp/tcp_helper tcp/test_tcp tcp/test_tcp_oos tcp/test_tcp_state udp/test_udp) \
    $(patsubst %,$(LWIP)/src/%.c, \
        $(patsubst %,api/%,api_lib api_msg err if_api netbuf netdb netifapi sockets tcpip) \
        $(patsubst %,core/%,altcp altcp_alloc altcp_tcp def dns inet_chksum init ip mem memp netif \
            pbuf raw stats sys tcp tcp_in tcp_out timeouts udp) \
        $(patsubst %,core/ipv4/%,acd autoip dhcp etharp icmp igmp ip4 ip4_addr ip4_frag) \
        $(patsubst %,core/ipv6/%,dhcp6 ethip6 icmp6 inet6 ip6 ip6_addr ip6_frag mld6 nd6) \
        netif/ethernet apps/mqtt/mqtt \
        $(patsubst %,apps/mdns/%,mdns mdns_domain mdns_out) \
        $(patsubst %,netif/ppp/%,auth ccp chap-md5 chap-new chap_ms demand eap ecp eui64 fsm ipcp \
            ipv6cp lcp magic mppe multilink ppp pppapi pppcrypt pppoe pppol2tp pppos upap utils vj) \
        $(patsubst %,netif/ppp/polarssl/%,arc4 des md4 md5 sha1))
APP_CFLAGS := -w -Din6addr_any=lwip_in6addr_any -DLWIP_UNITTESTS_NOFORK -include $(APP_FOLDER)/config.h -I$(APP_FOLDER) \
    -I$(LWIP)/test/unit -I$(LWIP)/src/include -I$(DEPS)/check -I$(DEPS)/check/src -I$(DEPS)/check/lib
