import json

from odoo import http
from odoo.http import request
from odoo.tools.misc import file_open


class Notes(http.Controller):
    @http.route("/notes", type="http", auth="public")
    def notes(self):
        with file_open("notes/static/licences.json") as file:
            licences = json.load(file)
        lines = [f"{name}: {licence}" for name, licence in sorted(licences.items())]
        return request.make_response("\n".join(lines), [("Content-Type", "text/plain")])
