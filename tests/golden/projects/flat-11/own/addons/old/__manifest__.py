{'installable': False}
