"""The Space's code, read and edited; the start-up hook."""
