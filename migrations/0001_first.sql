-- +goose Up
-- The three logins (postern_owner, postern_desk, postern_gate) exist before
-- this runs; see docs/operating.md. Nothing here calls now(): time is given by
-- the program, so that a demo's week can pass in a minute.
--
-- "sealed" columns are AES-256-GCM under a case key, a release key or the desk
-- key; internal/vault names what their additional data binds.

CREATE TABLE instance (
    one               boolean PRIMARY KEY DEFAULT true CHECK (one),
    id                text NOT NULL,
    created           timestamptz NOT NULL,
    demo              boolean NOT NULL DEFAULT false,
    system_identifier text NOT NULL,     -- of the cluster we noted
    timeline          bigint NOT NULL,
    moved             interval NOT NULL DEFAULT '0', -- raised by demo and tests alone
    paused            text NOT NULL DEFAULT '',      -- public notice while intake is paused; empty: open
    last_seen         timestamptz NOT NULL,
    locked_since      timestamptz,       -- as work last saw it
    held_since        timestamptz,
    held_because      text[] NOT NULL DEFAULT '{}',
    journal           bigint NOT NULL DEFAULT 0, -- mark compared with the one kept beside the data
    CHECK ((held_since IS NULL) = (held_because = '{}'))
);

-- What the gate may know of keys: the vault's public half and the team's certificates.
CREATE TABLE public_key (
    id      text PRIMARY KEY,            -- vault key id, or the certificate's fingerprint
    kind    text NOT NULL CHECK (kind IN ('vault', 'team')),
    public  bytea NOT NULL,
    created timestamptz NOT NULL,
    retired timestamptz                  -- null: current
);
CREATE UNIQUE INDEX public_key_current ON public_key (kind) WHERE retired IS NULL;

CREATE TABLE vault_key (
    id              text PRIMARY KEY REFERENCES public_key,
    sealed_desk_key bytea NOT NULL,
    created         timestamptz NOT NULL
);
CREATE TABLE vault_slot (
    id      text PRIMARY KEY,
    key_id  text NOT NULL REFERENCES vault_key,
    kind    text NOT NULL CHECK (kind IN ('passphrase', 'recovery', 'machine')),
    label   text NOT NULL,
    kdf     bytea NOT NULL,
    wrapped bytea NOT NULL,
    created timestamptz NOT NULL
);
CREATE TABLE team_key (
    fingerprint text PRIMARY KEY REFERENCES public_key,
    sealed      bytea NOT NULL,          -- secret material, desk key
    created     timestamptz NOT NULL,
    retired     timestamptz
);

-- Arrivals. The gate only adds. No foreign key leads out.
CREATE TABLE arrival (
    id            text PRIMARY KEY,
    kind          text NOT NULL CHECK (kind IN ('report', 'message', 'mail', 'application')),
    channel       text NOT NULL CHECK (channel IN ('form', 'api', 'mail', 'fetch', 'mailbox', 'member')),
    received      timestamptz NOT NULL,
    vault_key     text NOT NULL,
    encapsulation bytea,                 -- erased when opened
    header        bytea NOT NULL,        -- sealed under the arrival's key
    opened        timestamptz,
    wrapped_key   bytea,                 -- the arrival's key under the case key (desk key when it has no case)
    case_id       text,
    attempts      integer NOT NULL DEFAULT 0,
    retry_at      timestamptz,
    again         timestamptz,           -- a member asked for it to be opened once more
    CHECK ((opened IS NULL) = (encapsulation IS NOT NULL)),
    CHECK ((opened IS NULL) = (wrapped_key IS NULL)),
    CHECK (again IS NULL OR opened IS NOT NULL)
);
CREATE INDEX arrival_waiting ON arrival (received, id) WHERE opened IS NULL;
CREATE INDEX arrival_case ON arrival (case_id) WHERE case_id IS NOT NULL;
CREATE INDEX arrival_again ON arrival (again, id) WHERE again IS NOT NULL;
CREATE TABLE arrival_chunk (
    arrival text NOT NULL REFERENCES arrival ON DELETE CASCADE,
    n       integer NOT NULL,
    final   boolean NOT NULL,
    sealed  bytea NOT NULL,
    PRIMARY KEY (arrival, n)
);
ALTER TABLE arrival_chunk ALTER COLUMN sealed SET STORAGE EXTERNAL;
-- Digests of what came, so that the same bytes are seen to be the same: HMAC under the desk key.
CREATE TABLE arrival_seen (
    mac     bytea NOT NULL,
    arrival text NOT NULL REFERENCES arrival ON DELETE CASCADE,
    PRIMARY KEY (mac, arrival)
);

-- Members.
CREATE TABLE member (
    id            text PRIMARY KEY,
    login         text NOT NULL UNIQUE,  -- lower case mail address
    name          text NOT NULL,
    roles         text[] NOT NULL,
    password      text,                  -- argon2id PHC; null until the invitation is taken
    totp          bytea,                 -- sealed, desk key
    totp_step     bigint NOT NULL DEFAULT 0,
    address       text NOT NULL,         -- alerts go here
    certificate   bytea,                 -- alerts are encrypted to it when given
    signing_keys  bytea[] NOT NULL DEFAULT '{}', -- registered personal certificates (releasers)
    zone          text NOT NULL DEFAULT 'UTC',
    alerts        text[] NOT NULL,       -- kinds wanted
    invite        bytea UNIQUE,          -- SHA-256 of the one-time link's token
    invite_until  timestamptz,           -- wall time
    created       timestamptz NOT NULL,
    disabled      timestamptz,
    CHECK ((invite IS NULL) = (invite_until IS NULL))
);
CREATE TABLE session (
    hash     bytea PRIMARY KEY,          -- SHA-256 of the cookie
    member   text NOT NULL REFERENCES member ON DELETE CASCADE,
    created  timestamptz NOT NULL,       -- wall time, all three
    seen     timestamptz NOT NULL,
    verified timestamptz,
    agent    text NOT NULL DEFAULT ''    -- browser family, for the list of one's own sessions
);
CREATE INDEX session_member ON session (member);
CREATE TABLE recipient (                 -- the one person whom new reports go to, where the policy wants one
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    member     text NOT NULL REFERENCES member,
    delegate   text REFERENCES member,
    away_from  timestamptz,
    away_until timestamptz,
    CHECK ((delegate IS NULL) = (away_from IS NULL)),
    CHECK ((delegate IS NULL) = (away_until IS NULL))
);
CREATE TABLE attempt (                   -- failed sign-ins, per HMAC of login or session
    key    bytea PRIMARY KEY,
    failed integer NOT NULL,
    until  timestamptz NOT NULL
);

-- Policy versions; the text is public anyway.
CREATE TABLE policy (
    version integer PRIMARY KEY,
    toml    text NOT NULL,
    applied timestamptz NOT NULL,
    by_name text NOT NULL
);

-- Releases stand before cases in the lock order.
CREATE TABLE release (
    id             text PRIMARY KEY,
    state          text NOT NULL CHECK (state IN ('draft', 'scheduled', 'notified', 'releasing', 'disclosed', 'called off')),
    at             timestamptz,
    zone           text NOT NULL,
    generation     integer NOT NULL DEFAULT 1,
    policy_version integer NOT NULL REFERENCES policy,
    wrapped_key    bytea NOT NULL,       -- release key under the desk key
    key_version    integer NOT NULL DEFAULT 1,
    card           bytea NOT NULL,       -- sealed: title and what lists show
    body           bytea NOT NULL,       -- sealed
    created        timestamptz NOT NULL,
    disclosed_at   timestamptz,
    called_off_at  timestamptz,
    wake_at        timestamptz,
    due_at         timestamptz,
    version        integer NOT NULL DEFAULT 1,
    CHECK (state = 'called off' OR (state = 'draft') = (at IS NULL)),
    CHECK ((state = 'disclosed') = (disclosed_at IS NOT NULL)),
    CHECK ((state = 'called off') = (called_off_at IS NOT NULL))
);
CREATE INDEX release_wake ON release (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX release_state ON release (state, due_at, id);
-- Permission to send. Neither column may ever stand in a unique index: workers
-- hold FOR KEY SHARE on the row, which a non-key update does not wait for.
CREATE TABLE go_ahead (
    release    text PRIMARY KEY REFERENCES release,
    open       boolean NOT NULL,
    generation integer NOT NULL
);

CREATE SEQUENCE case_number AS integer;
CREATE TABLE cases (
    id             text PRIMARY KEY,
    number         integer NOT NULL UNIQUE,
    state          text NOT NULL CHECK (state IN ('received', 'triage', 'accepted', 'embargoed', 'disclosed', 'closed')),
    restricted     boolean NOT NULL DEFAULT false,
    owner          text REFERENCES member,
    channel        text NOT NULL,
    protection     text NOT NULL,        -- encryption/signature/integrity
    received       timestamptz NOT NULL,
    policy_version integer NOT NULL REFERENCES policy,
    release        text REFERENCES release,
    wake_at        timestamptz,
    due_at         timestamptz,
    wrapped_key    bytea NOT NULL,       -- case key under the desk key
    key_version    integer NOT NULL DEFAULT 1,
    card           bytea NOT NULL,       -- sealed: title and what lists show
    body           bytea NOT NULL,       -- sealed
    closed_at      timestamptz,
    disclosed_at   timestamptz,
    version        integer NOT NULL DEFAULT 1,
    CHECK ((state = 'disclosed') = (disclosed_at IS NOT NULL)),
    CHECK ((state = 'closed') = (closed_at IS NOT NULL)),
    CHECK (state NOT IN ('embargoed', 'disclosed') OR release IS NOT NULL)
);
-- The inbox: keyset pages. First what has a deadline, by (due_at, id), which
-- only open cases have; then the rest, newest first, by number.
CREATE INDEX cases_due ON cases (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX cases_due_state ON cases (state, due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX cases_due_owner ON cases (owner, due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX cases_rest ON cases (number) WHERE due_at IS NULL;
CREATE INDEX cases_rest_open ON cases (number) WHERE due_at IS NULL AND state NOT IN ('disclosed', 'closed');
CREATE INDEX cases_rest_state ON cases (state, number) WHERE due_at IS NULL;
CREATE INDEX cases_rest_owner ON cases (owner, number) WHERE due_at IS NULL;
CREATE INDEX cases_wake ON cases (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX cases_release ON cases (release) WHERE release IS NOT NULL;
CREATE INDEX cases_restricted ON cases (id) WHERE restricted;
CREATE TABLE case_access (               -- who may see a restricted case
    case_id text NOT NULL REFERENCES cases ON DELETE CASCADE,
    member  text NOT NULL REFERENCES member,
    PRIMARY KEY (case_id, member)
);
-- Kept counters for the tabs. Rows are only added by the trigger, and folded
-- together by work: two transactions never wait for one another here.
-- Restricted cases are counted apart, for those who may see them.
CREATE TABLE case_tally (
    state text NOT NULL,
    n     integer NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200); -- every inbox page reads it whole
-- +goose StatementBegin
CREATE FUNCTION tally_case() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND NOT OLD.restricted THEN
        IF TG_OP = 'UPDATE' AND OLD.state = NEW.state AND NOT NEW.restricted THEN
            RETURN NULL;
        END IF;
        INSERT INTO case_tally (state, n) VALUES (OLD.state, -1);
    END IF;
    IF TG_OP <> 'DELETE' AND NOT NEW.restricted THEN
        INSERT INTO case_tally (state, n) VALUES (NEW.state, 1);
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER tally_case AFTER INSERT OR DELETE OR UPDATE OF state, restricted ON cases
    FOR EACH ROW EXECUTE FUNCTION tally_case();

CREATE TABLE reporter (
    id       text PRIMARY KEY,
    case_id  text NOT NULL REFERENCES cases ON DELETE CASCADE,
    arrival  text NOT NULL,
    received timestamptz NOT NULL,
    channel  text NOT NULL,
    mailbox  text UNIQUE,                -- null: none
    was_in   text,                       -- the case it was merged away from; for undoing
    senders  bytea[] NOT NULL DEFAULT '{}', -- HMAC of address and key, desk key: the same one came before
    sealed   bytea NOT NULL
);
CREATE INDEX reporter_senders ON reporter USING gin (senders);
CREATE INDEX reporter_case ON reporter (case_id, received, id);

CREATE TABLE partner (                   -- maintainer of another affected project, on one case
    id      text PRIMARY KEY,
    case_id text NOT NULL REFERENCES cases ON DELETE CASCADE,
    mailbox text UNIQUE,
    added   timestamptz NOT NULL,
    removed timestamptz,
    sealed  bytea NOT NULL
);

CREATE TABLE mailbox (
    id      text PRIMARY KEY,            -- look-up id made from the code
    kind    text NOT NULL CHECK (kind IN ('reporter', 'distributor', 'partner')),
    public  bytea NOT NULL,              -- replies are sealed to it
    created timestamptz NOT NULL
);
CREATE TABLE mailbox_item (
    id      text PRIMARY KEY,
    mailbox text NOT NULL REFERENCES mailbox ON DELETE CASCADE,
    kind    text NOT NULL CHECK (kind IN ('status', 'reply', 'receipt', 'own')),
    at      timestamptz NOT NULL,
    sealed  bytea NOT NULL               -- to the mailbox's public half
);
CREATE INDEX mailbox_item_order ON mailbox_item (mailbox, at, id);

CREATE TABLE message (                   -- of a case, or of a release (a distributor's answer)
    id        text PRIMARY KEY,
    case_id   text REFERENCES cases ON DELETE CASCADE,
    release   text REFERENCES release,
    lane      text NOT NULL CHECK (lane IN ('team', 'reporter', 'partner', 'distributor')),
    lane_id   text NOT NULL DEFAULT '',
    state     text NOT NULL CHECK (state IN ('note', 'in', 'waiting', 'out', 'back', 'failed')),
    at        timestamptz NOT NULL,
    leaves_at timestamptz,
    arrival   text,
    member    text REFERENCES member,
    sealed    bytea NOT NULL,
    CHECK ((lane = 'team') = (lane_id = '')),
    CHECK ((state = 'waiting') = (leaves_at IS NOT NULL)),
    CHECK ((state = 'note') = (lane = 'team')),
    CHECK ((case_id IS NULL) <> (release IS NULL))
);
CREATE INDEX message_case ON message (case_id, at, id);
CREATE INDEX message_release ON message (release, at, id) WHERE release IS NOT NULL;
CREATE INDEX message_lane ON message (lane_id, at) WHERE lane_id <> '';
CREATE INDEX message_leaves ON message (leaves_at) WHERE leaves_at IS NOT NULL;

CREATE TABLE file (
    id       text PRIMARY KEY,
    case_id  text REFERENCES cases ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, -- stored before the case it begins
    release  text REFERENCES release,
    arrival  text,
    added    timestamptz NOT NULL,
    sealed   bytea NOT NULL,             -- label, type, size, digest
    CHECK ((case_id IS NULL) <> (release IS NULL))
);
CREATE INDEX file_case ON file (case_id);
CREATE INDEX file_release ON file (release);
CREATE TABLE file_chunk (
    file   text NOT NULL REFERENCES file ON DELETE CASCADE,
    n      integer NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (file, n)
);
ALTER TABLE file_chunk ALTER COLUMN sealed SET STORAGE EXTERNAL;

CREATE TABLE event (                     -- history of a case or a release; append-only for the desk
    id      text PRIMARY KEY,
    case_id text REFERENCES cases ON DELETE CASCADE,
    release text REFERENCES release,
    kind    text NOT NULL,
    at      timestamptz NOT NULL,
    member  text REFERENCES member,
    sealed  bytea NOT NULL,
    CHECK ((case_id IS NULL) <> (release IS NULL))
);
CREATE INDEX event_case ON event (case_id, at, id);
CREATE INDEX event_release ON event (release, at, id);

-- Distributors: everything about them is sealed.
CREATE TABLE distributor (
    id       text PRIMARY KEY,
    enrolled timestamptz NOT NULL,
    revoked  timestamptz,
    mailbox  text UNIQUE REFERENCES mailbox,
    sealed   bytea NOT NULL,             -- desk key
    version  integer NOT NULL DEFAULT 1
);
CREATE TABLE distributor_key (
    id          text PRIMARY KEY,
    distributor text NOT NULL REFERENCES distributor ON DELETE CASCADE,
    added       timestamptz NOT NULL,
    removed     timestamptz,
    sealed      bytea NOT NULL           -- desk key: certificate
);
CREATE INDEX distributor_key_of ON distributor_key (distributor);

CREATE TABLE notice (
    id         text PRIMARY KEY,
    release    text NOT NULL REFERENCES release,
    audience   text NOT NULL CHECK (audience IN ('pre-announcement', 'distributors', 'reporters', 'announcement', 'oss-security')),
    state      text NOT NULL CHECK (state IN ('draft', 'frozen', 'approved', 'sending', 'sent', 'canceled')),
    generation integer NOT NULL,
    send_at    timestamptz,
    deadline   timestamptz,
    sent_at    timestamptz,
    body       bytea NOT NULL,           -- sealed, release key: subject, text, digest, approvals
    frozen     bytea,                    -- sealed, release key: the signed bytes
    in_mailboxes boolean NOT NULL DEFAULT false, -- reporters who have a mailbox read it there
    CHECK ((state = 'sent') = (sent_at IS NOT NULL)),
    CHECK (state IN ('draft', 'canceled') OR frozen IS NOT NULL)
);
CREATE INDEX notice_release ON notice (release);
CREATE INDEX notice_sending ON notice (id) WHERE state = 'sending';

CREATE TABLE delivery (
    id          text PRIMARY KEY,
    notice      text NOT NULL REFERENCES notice,
    distributor text REFERENCES distributor,
    reporter    text,
    state       text NOT NULL CHECK (state IN ('queued', 'sending', 'sent', 'deferred', 'rejected', 'uncertain', 'canceled', 'expired')),
    attempt     integer NOT NULL DEFAULT 0,
    worker      text,
    until       timestamptz,             -- a worker's deadline, wall time
    next_at     timestamptz,
    expires     timestamptz NOT NULL,
    updated     timestamptz NOT NULL,
    token       bytea NOT NULL UNIQUE,   -- HMAC of the return-path token, for bounces and replies
    answered    timestamptz,
    sealed      bytea NOT NULL,          -- release key: address, prints, Message-ID, last reply, digest
    CHECK ((state = 'sending') = (worker IS NOT NULL)),
    CHECK ((state = 'sending') = (until IS NOT NULL)),
    CHECK ((state IN ('queued', 'deferred')) = (next_at IS NOT NULL))
);
CREATE UNIQUE INDEX delivery_once ON delivery (notice, distributor) WHERE distributor IS NOT NULL;
CREATE INDEX delivery_due ON delivery (notice, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX delivery_sending ON delivery (until) WHERE until IS NOT NULL;
CREATE INDEX delivery_notice ON delivery (notice, state);
-- The journal: one row an attempt, closed by its outcome.
CREATE TABLE delivery_attempt (
    delivery text NOT NULL REFERENCES delivery,
    attempt  integer NOT NULL,
    worker   text NOT NULL,
    started  timestamptz NOT NULL,
    ended    timestamptz,
    outcome  text,
    sealed   bytea,                      -- release key: the server's words
    logged   boolean NOT NULL DEFAULT false, -- its row of the log is written, in bulk, after the outcome
    PRIMARY KEY (delivery, attempt),
    CHECK ((ended IS NULL) = (outcome IS NULL)),
    CHECK (NOT logged OR ended IS NOT NULL)
);
CREATE INDEX delivery_attempt_unlogged ON delivery_attempt (ended) WHERE ended IS NOT NULL AND NOT logged;

-- Tokens handed out in Reply-To and return paths of other mails: HMAC under the desk key.
CREATE TABLE reply_token (
    mac     bytea PRIMARY KEY,
    case_id text REFERENCES cases ON DELETE CASCADE,
    lane    text NOT NULL,
    lane_id text NOT NULL,
    made    timestamptz NOT NULL
);
-- Fixed acknowledgments by mail: at most one per address and day (HMAC of the address).
CREATE TABLE acknowledged (
    mac bytea NOT NULL,
    day date NOT NULL,
    PRIMARY KEY (mac, day)
);

-- What members are to be told, by mail with an id and a link only.
CREATE TABLE alert (
    id      text PRIMARY KEY,
    member  text NOT NULL REFERENCES member,
    kind    text NOT NULL,
    ref     text NOT NULL,
    number  integer NOT NULL DEFAULT 0,
    made    timestamptz NOT NULL,
    next_at timestamptz,                 -- null: over
    attempt integer NOT NULL DEFAULT 0,
    sent    timestamptz,
    message_id text NOT NULL
);
CREATE INDEX alert_due ON alert (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX alert_waiting ON alert (member, kind, ref) WHERE next_at IS NOT NULL;
CREATE INDEX alert_made ON alert (made);

-- The log. Append-only for everybody but the owner; hash-chained over ciphertext.
CREATE TABLE log (
    n      bigint PRIMARY KEY,
    at     timestamptz NOT NULL,
    actor  text NOT NULL,                -- member's name, or work's
    member text,
    type   text NOT NULL,
    object text NOT NULL,                -- an id
    vault  boolean NOT NULL,             -- payload sealed to the vault pair, else under the desk key
    sealed bytea NOT NULL,
    prev   bytea NOT NULL,
    hash   bytea NOT NULL
);
CREATE INDEX log_reads ON log (member, object, type, at);
CREATE TABLE log_head (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    n    bigint NOT NULL,
    hash bytea NOT NULL
);
INSERT INTO log_head (n, hash) VALUES (0, '\x');

-- What is public.
CREATE TABLE advisory (
    name      text PRIMARY KEY,
    case_id   text NOT NULL UNIQUE REFERENCES cases,
    release   text REFERENCES release,
    version   integer NOT NULL,
    published timestamptz NOT NULL,
    updated   timestamptz NOT NULL,
    withdrawn timestamptz,
    body      jsonb NOT NULL             -- plain: it is public
);
CREATE TABLE edition (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    number  bigint NOT NULL,
    instance text NOT NULL,
    roster  text NOT NULL DEFAULT '',    -- the names the site shows, one a line
    changed timestamptz NOT NULL
);
CREATE TABLE document (
    path     text PRIMARY KEY,
    type     text NOT NULL,
    bytes    bytea NOT NULL,
    gzip     bytea,                      -- null: not worth it
    digest   bytea NOT NULL,             -- SHA-256 of bytes
    etag     text NOT NULL,
    modified timestamptz NOT NULL,
    signed   boolean NOT NULL,
    rendered_by text NOT NULL,
    renew    timestamptz,
    edition  bigint NOT NULL
);

-- +goose StatementBegin
CREATE FUNCTION mailbox_read(box text) RETURNS TABLE (id text, kind text, at timestamptz, sealed bytea)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT i.id, i.kind, i.at, i.sealed FROM public.mailbox_item i WHERE i.mailbox = box ORDER BY i.at, i.id
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION arrival_received(arrival_id text) RETURNS timestamptz
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT a.received FROM public.arrival a WHERE a.id = arrival_id
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is append-only';
END $$;
-- +goose StatementEnd
CREATE TRIGGER log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO postern_desk, postern_gate;

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO postern_desk;
REVOKE UPDATE, DELETE ON log FROM postern_desk;
REVOKE DELETE ON log_head, event, delivery_attempt FROM postern_desk;
REVOKE UPDATE ON event FROM postern_desk;
REVOKE INSERT, UPDATE, DELETE ON goose_db_version FROM postern_desk;
GRANT USAGE ON SEQUENCE case_number TO postern_desk;
GRANT EXECUTE ON FUNCTION tally_case() TO postern_desk;
GRANT EXECUTE ON FUNCTION refuse_change() TO postern_desk;
GRANT EXECUTE ON FUNCTION mailbox_read(text), arrival_received(text) TO postern_desk, postern_gate;

GRANT INSERT (id, kind, channel, received, vault_key, encapsulation, header) ON arrival TO postern_gate;
GRANT INSERT (arrival, n, final, sealed) ON arrival_chunk TO postern_gate;
GRANT SELECT ON document, public_key, edition, goose_db_version TO postern_gate;
