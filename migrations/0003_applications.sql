-- +goose Up
-- Applications: who asks to be told in advance. No case, so no part in what
-- cases promise. Everything said in one is sealed under its key, like a case's.
-- Its id is also that of the case it becomes when it was a report after all:
-- messages and files then move over as they are sealed.
CREATE SEQUENCE application_number AS integer;
CREATE TABLE application (
    id             text PRIMARY KEY,
    number         integer NOT NULL UNIQUE,
    state          text NOT NULL CHECK (state IN ('received', 'answered', 'report')),
    channel        text NOT NULL,
    protection     text NOT NULL,        -- encryption/signature/integrity
    received       timestamptz NOT NULL,
    policy_version integer NOT NULL REFERENCES policy,
    mailbox        text UNIQUE,          -- null: none, or it went with the case
    wake_at        timestamptz,
    due_at         timestamptz,
    wrapped_key    bytea NOT NULL,       -- its key under the desk key
    key_version    integer NOT NULL DEFAULT 1,
    body           bytea NOT NULL,       -- sealed
    decided_at     timestamptz,
    version        integer NOT NULL DEFAULT 1,
    CHECK ((state = 'received') = (decided_at IS NULL))
);
CREATE INDEX application_order ON application (due_at, number) WHERE state = 'received';
CREATE INDEX application_wake ON application (wake_at) WHERE wake_at IS NOT NULL;

ALTER TABLE message ADD COLUMN application text REFERENCES application,
    DROP CONSTRAINT message_lane_check,
    ADD CONSTRAINT message_lane_check CHECK (lane IN ('team', 'reporter', 'partner', 'distributor', 'applicant')),
    DROP CONSTRAINT message_check3,
    ADD CONSTRAINT message_owner CHECK (num_nonnulls(case_id, release, application) = 1),
    ADD CONSTRAINT message_applicant CHECK ((lane = 'applicant') <= (application IS NOT NULL));
CREATE INDEX message_application ON message (application, at, id) WHERE application IS NOT NULL;

ALTER TABLE file ADD COLUMN application text REFERENCES application DEFERRABLE INITIALLY DEFERRED,
    DROP CONSTRAINT file_check,
    ADD CONSTRAINT file_owner CHECK (num_nonnulls(case_id, release, application) = 1);
CREATE INDEX file_application ON file (application) WHERE application IS NOT NULL;

ALTER TABLE event ADD COLUMN application text REFERENCES application,
    DROP CONSTRAINT event_check,
    ADD CONSTRAINT event_owner CHECK (num_nonnulls(case_id, release, application) = 1);
CREATE INDEX event_application ON event (application, at, id) WHERE application IS NOT NULL;

ALTER TABLE reply_token ADD COLUMN application text REFERENCES application ON DELETE CASCADE;
ALTER TABLE arrival ADD COLUMN application text;  -- no foreign key leads out

-- Who wants to be told of reports is told of applications, once an admin.
UPDATE member SET alerts = array_append(alerts, 'new-application')
    WHERE 'new-report' = ANY(alerts) AND NOT 'new-application' = ANY(alerts);

GRANT SELECT, INSERT, UPDATE ON application TO postern_desk;
GRANT USAGE ON SEQUENCE application_number TO postern_desk;
