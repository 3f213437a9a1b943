from odoo import http
from odoo.http import request

TITLE = "What this Odoo is made of"


class StackInfo(http.Controller):
    @http.route("/stack", type="http", auth="public", sitemap=False)
    def stack(self):
        modules = request.env["ir.module.module"].sudo().search([("state", "=", "installed")], order="name")
        own = modules.filtered(lambda module: "OCA" in (module.author or "") or module.name == "stack_info")
        return request.render("stack_info.page", {"title": TITLE, "own": own, "count": len(modules)})
