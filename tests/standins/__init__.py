"""Stand-ins for servers and images on a machine that can reach only package registries.

Docker, base images, Odoo, OCA repositories, a container registry and a git server, made from packages of apt and pip.
Existing parts are kept; images and repositories from a reachable registry or git host are preferred to stand-ins.
`python -m tests.standins all` creates them.
"""
