"""Order stores in SQL: statements that SQLite and Postgres both understand, by topic.

`SqlOrders` (`store.py`) joins the topics; `resources.orders.sqlite` and `resources.orders.postgres`
put a database under it.
"""
