{'name': 'auditlog'}
