-- +goose Up
-- What could not be opened is known without opening it, so that all of it can
-- be tried again once a key is there.
ALTER TABLE arrival
    ADD COLUMN unopened    boolean NOT NULL DEFAULT false,
    ADD COLUMN again_asked boolean NOT NULL DEFAULT false; -- by a member: who is told how it went
CREATE INDEX arrival_unopened ON arrival (received, id) WHERE unopened;
UPDATE arrival SET unopened = true WHERE case_id IN (SELECT id FROM cases WHERE protection LIKE 'unopened/%');
UPDATE arrival SET again_asked = true WHERE again IS NOT NULL;
