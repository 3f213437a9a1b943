{'name': 'Shop: sale', 'version': '16.0.1.2.0', 'depends': ['shop_base']}
