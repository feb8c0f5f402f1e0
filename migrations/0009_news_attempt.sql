-- +goose Up
-- When the letter that is due was first tried: what its Message-ID is made of,
-- so that every attempt has the same.
ALTER TABLE mailbox_news ADD COLUMN begun timestamptz;
