"""Pages for people, written on the server.

Without scripts, and nothing is loaded from elsewhere: so each has the strictest content security
policy, and works without a network. `home` is `/`, `documentation` is `/docs`.
"""
