"""QEMU's monitor, as QMP over a socket (-qmp unix:PATH,server=on,wait=off)."""
import json
import socket


def ask(path, name, /, **arguments):
    """What QEMU answers to one command, on a connection of its own."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        lines = connection.makefile("rw")
        for words in ({"execute": "qmp_capabilities"}, {"execute": name, "arguments": arguments}):
            lines.write(json.dumps(words) + "\n")
            lines.flush()
            while "return" not in (answer := json.loads(lines.readline())):
                assert "error" not in answer, answer
    return answer["return"]
