-- +goose Up
-- Whom a short letter tells that something new lies in the mailbox: nothing
-- but ids and times. lane_id is a reporter's; or an applicant's, of the
-- application that is named then.
CREATE TABLE mailbox_news (
    lane_id     text PRIMARY KEY,
    application text REFERENCES application ON DELETE CASCADE,
    news        timestamptz NOT NULL,            -- the latest
    next_at     timestamptz,                     -- when to write; null: nothing to say
    told        timestamptz,                     -- the letter before
    attempt     integer NOT NULL DEFAULT 0
);
CREATE INDEX mailbox_news_due ON mailbox_news (next_at) WHERE next_at IS NOT NULL;
GRANT SELECT, INSERT, UPDATE, DELETE ON mailbox_news TO postern_desk;
