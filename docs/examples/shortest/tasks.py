from odpm_tasks import collection

ns = collection()
