from odoo.tests import HttpCase, tagged


@tagged("post_install", "-at_install")
class TestStackInfo(HttpCase):
    def test_the_page_names_this_add_on(self):
        answer = self.url_open("/stack")
        self.assertEqual(answer.status_code, 200)
        self.assertIn("stack_info", answer.text)
        self.assertIn("partner_firstname", answer.text)
