{
    "name": "Stack Info",
    "summary": "A page that says what this Odoo is made of",
    "version": "19.0.1.0.0",
    "license": "Other OSI approved licence",
    "author": "odpm_tasks contributors",
    "category": "Tools",
    "depends": ["web", "partner_firstname"],
    "data": ["views/stack_info.xml"],
}
