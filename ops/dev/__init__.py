"""Tools that write generated files of the checkout anew: lock files, .env.example, the dashboard, the charts' docs."""
