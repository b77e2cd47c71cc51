-- What configuration decides, in the comments of columns.

ALTER TABLE {database}.profiles
    COMMENT COLUMN traits 'traits, each as its rule chooses: as stated last, unless [traits] says otherwise';

ALTER TABLE {database}.profiles_current
    COMMENT COLUMN traits 'traits, each as its rule chooses: as stated last, unless [traits] says otherwise';

ALTER TABLE {database}.customers_current
    COMMENT COLUMN traits 'traits, each as its rule chooses: as stated last, unless [traits] says otherwise',
    COMMENT COLUMN rfm 'recency, frequency and monetary value by currency, of the days in which an order makes a customer (365, or kpi.customer_days), each with its quintile, as in rfm_current; empty without an order in these days';
