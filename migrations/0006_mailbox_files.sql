-- +goose Up
-- Files of a reply lie beside it, as items of their own, so that a mailbox is
-- read without their bytes. What was posted before keeps them inside.
ALTER TABLE mailbox_item DROP CONSTRAINT mailbox_item_kind_check,
    ADD CONSTRAINT mailbox_item_kind_check CHECK (kind IN ('status', 'reply', 'receipt', 'own', 'file'));

DROP FUNCTION mailbox_read(text);
-- +goose StatementBegin
-- With an empty item all that is shown at once; else that one item, whatever it is.
CREATE FUNCTION mailbox_read(box text, item text) RETURNS TABLE (id text, kind text, at timestamptz, sealed bytea)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT i.id, i.kind, i.at, i.sealed FROM public.mailbox_item i
        WHERE i.mailbox = box AND (item = '' AND i.kind <> 'file' OR i.id = item) ORDER BY i.at, i.id
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION mailbox_read(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mailbox_read(text, text) TO postern_desk, postern_gate;
