"""The chaos run: a load of conversations while the server's processes are killed, judged from the outside."""
