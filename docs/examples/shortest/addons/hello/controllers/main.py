from odoo import http
from odoo.http import request


class Hello(http.Controller):
    @http.route("/hello", type="http", auth="public")
    def hello(self):
        return request.make_response(f"Hello from {request.db}", [("Content-Type", "text/plain")])
