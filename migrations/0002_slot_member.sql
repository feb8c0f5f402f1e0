-- +goose Up
-- Whose a passphrase is: when a member is disabled, theirs opens nothing any
-- more. Null: nobody's of the team, such as a recovery phrase in a safe.
ALTER TABLE vault_slot ADD COLUMN member text REFERENCES member;
CREATE INDEX vault_slot_member ON vault_slot (member) WHERE member IS NOT NULL;
UPDATE vault_slot s SET member = m.id FROM member m
    WHERE s.kind = 'passphrase' AND lower(s.label) IN (lower(m.name), m.login)
    AND (SELECT count(*) FROM member x WHERE lower(s.label) IN (lower(x.name), x.login)) = 1;
