{
    "name": "Notes",
    "summary": "Says whose work this Odoo rests on",
    "version": "19.0.1.0.0",
    "license": "LGPL-3",
    "depends": ["base"],
}
