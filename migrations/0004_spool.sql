-- +goose Up
-- What is kept aside while one arrival is opened: sealed under a key that is
-- only in memory, and gone before the transaction ends. Not worth a log.
CREATE UNLOGGED TABLE spool (
    id     text NOT NULL,
    n      integer NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (id, n)
);
ALTER TABLE spool ALTER COLUMN sealed SET STORAGE EXTERNAL;
GRANT SELECT, INSERT, DELETE ON spool TO postern_desk;
