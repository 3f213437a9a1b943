{'name': 'partner_firstname'}
