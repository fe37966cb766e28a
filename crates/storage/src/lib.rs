//! The database: transactions, group commit, migrations, change feed, sealing; knows no table
