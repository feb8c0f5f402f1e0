-- +goose Up
-- What could not be opened is known without opening it, so that all of it can
-- be tried again once a key is there.
ALTER TABLE arrival
    ADD COLUMN unopened    boolean NOT NULL DEFAULT false,
    ADD COLUMN again_asked boolean NOT NULL DEFAULT false; -- by a member: who is told how it went
CREATE INDEX arrival_unopened ON arrival (received, id) WHERE unopened;
-- A case's protection is that of the first arrival of its first reporter. What
-- another reporter sent may have opened: trying it again then changes nothing.
UPDATE arrival SET unopened = true WHERE id IN (
    SELECT r.arrival FROM reporter r JOIN cases c ON c.id = r.case_id WHERE c.protection LIKE 'unopened/%');
UPDATE arrival SET again_asked = true WHERE again IS NOT NULL;
