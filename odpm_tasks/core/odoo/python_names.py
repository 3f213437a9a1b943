"""Which distribution provides what an add-on lists in `external_dependencies.python`.

Add-ons list import names (Odoo before 12.0 tries to import them) or distributions (later series ask for the installed
distribution first). The table holds import names whose distribution has another name; sources: setuptools-odoo's and
manifestoo's maps, and the imports of the OCA add-ons of 11.0 to 19.0. A name of the table is never looked up as a
distribution: some of them belong to other projects on the package index (`jose`, `barcode`, `docx`).
"""

from __future__ import annotations

import re
import sys

_DISTRIBUTIONS = {
    "Asterisk": "py-Asterisk", "Crypto": "pycryptodome", "Cryptodome": "pycryptodomex", "MySQLdb": "mysqlclient",
    "OpenSSL": "pyOpenSSL", "PIL": "Pillow", "attr": "attrs", "barcode": "python-barcode", "bs4": "beautifulsoup4",
    "coda": "pycoda", "cups": "pycups", "cv2": "opencv-python-headless", "dateutil": "python-dateutil", "dns": "dnspython",
    "docx": "python-docx", "dotenv": "python-dotenv", "escpos": "python-escpos", "facturx": "factur-x", "fitz": "PyMuPDF",
    "git": "GitPython", "github": "PyGithub", "gitlab": "python-gitlab", "gnupg": "python-gnupg",
    "google_auth": "google-auth", "googleapiclient": "google-api-python-client", "jose": "python-jose", "jwt": "PyJWT",
    "ldap": "python-ldap", "magic": "python-magic", "mt940": "mt-940", "nacl": "PyNaCl", "odf": "odfpy",
    "onelogin": "python3-saml", "openid": "python3-openid", "pdfminer": "pdfminer.six", "pkg_resources": "setuptools",
    "plaid": "plaid-python", "pptx": "python-pptx", "saml2": "pysaml2", "serial": "pyserial", "skimage": "scikit-image",
    "sklearn": "scikit-learn", "slugify": "python-slugify", "smb": "pysmb", "socks": "PySocks", "stdnum": "python-stdnum",
    "suds": "suds-community", "telegram": "python-telegram-bot", "u2flib_server": "python-u2flib-server", "usb": "pyusb",
    "websocket": "websocket-client", "yaml": "PyYAML", "zmq": "pyzmq",
}  # fmt: skip
# Import names whose package is on no index, only in a distribution of the system; the index has other projects of these names.
SYSTEM_ONLY = {"lasso": "python3-lasso", "dbus": "python3-dbus", "gi": "python3-gi", "apt": "python3-apt"}
# modules of Python 3 that later releases have removed
_STANDARD = sys.stdlib_module_names | {"asynchat", "asyncore", "cgi", "crypt", "distutils", "imp", "smtpd", "telnetlib"}
_NAME = re.compile(r"^\s*([A-Za-z0-9][\w.-]*)(.*)$", re.DOTALL)


def distribution_of(entry: str) -> str | None:
    """The requirement that an entry stands for, with its version specifier and marker; None for the standard library.

    `Crypto.Cipher.DES3` is a module of the import name `Crypto`. A name that is in no table stays: it is a distribution.
    """
    found = _NAME.match(entry)
    if found is None:
        return entry
    name, rest = found.groups()
    top = name.split(".")[0]
    if name in _DISTRIBUTIONS or top in _DISTRIBUTIONS:
        return _DISTRIBUTIONS.get(name, _DISTRIBUTIONS.get(top, "")) + rest
    if top in _STANDARD and not rest.strip():
        return None
    return entry


def system_package(entry: str) -> str:
    """The Debian package of an entry that no package index has; empty where an index may have it."""
    found = _NAME.match(entry)
    return SYSTEM_ONLY.get(found[1].split(".")[0], "") if found else ""
