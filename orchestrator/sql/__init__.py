"""The store on SQLAlchemy: SQLite by default, PostgreSQL for a cluster."""
