-- +goose Up
-- Fixed acknowledgments are counted by domain as well: made-up addresses of one
-- victim's domain are that victim's mail too.
ALTER TABLE acknowledged ADD COLUMN domain bytea NOT NULL DEFAULT '';
CREATE INDEX acknowledged_day ON acknowledged (day, domain);
