"""What every request passes before its route: plain ASGI, outermost first.

`edge` (request id, headers, problems, time, counting), `hosts`, `cors`, `auth.authenticate`,
`auth.limits`, `methods`, `bodies`.
"""
