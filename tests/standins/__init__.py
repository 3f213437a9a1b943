"""The real thing on a machine that reaches only package registries.

Docker, base images, Odoo, OCA repositories, a registry and a git server, each made from what apt and pip offer. Every
part looks first and keeps what is there; what a registry or a git host gives is preferred to a stand-in.
`python -m tests.standins all` makes them.
"""
