{
    "name": "Hello",
    "summary": "One page, to see that it is there",
    "version": "19.0.1.0.0",
    "license": "LGPL-3",
    "depends": ["base"],
}
