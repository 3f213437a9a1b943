{'name': 'partner_thing'}
