{'name': 'crm_thing'}
