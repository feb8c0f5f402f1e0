package postgres

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

// noticeBody is notice.body, sealed.
type noticeBody struct {
	Signer    disclosure.Signer     `json:"signer"`
	Subject   string                `json:"subject,omitempty"`
	Text      string                `json:"text,omitempty"`
	Signature []byte                `json:"signature,omitempty"`
	FrozenAt  time.Time             `json:"frozen_at,omitzero"`
	Digest    string                `json:"digest,omitempty"`
	Approvals []disclosure.Approval `json:"approvals,omitempty"`
	Change    disclosure.Change     `json:"change,omitempty"`
	Was       time.Time             `json:"was,omitzero"`
	Basis     []disclosure.Fact     `json:"basis,omitempty"`
	Edited    bool                  `json:"edited,omitempty"`
}

const noticeColumns = `n.id, n.release, n.audience, n.state, n.generation, n.send_at, n.deadline, n.sent_at, n.body, n.frozen`

// scanNotice reads noticeColumns and opens them. It fails when the frozen
// bytes are not those of the digest.
func (db *DB) scanNotice(row pgx.Row, key vault.Key, keyVersion int, more ...any) (*disclosure.Notice, error) {
	n := &disclosure.Notice{}
	var sendAt, deadline, sentAt *time.Time
	var sealed, frozen []byte
	to := append([]any{&n.ID, &n.Release, &n.Audience, &n.State, &n.Generation, &sendAt, &deadline, &sentAt, &sealed, &frozen}, more...)
	if err := row.Scan(to...); err != nil {
		return nil, err
	}
	n.SendAt, n.Deadline, n.SentAt = timeOf(sendAt), timeOf(deadline), timeOf(sentAt)
	return n, db.openNotice(n, key, keyVersion, sealed, frozen)
}

func (db *DB) openNotice(n *disclosure.Notice, key vault.Key, keyVersion int, sealed, frozen []byte) error {
	var b noticeBody
	if err := openJSON(key, db.aad("notice", "body", string(n.ID), string(n.Release), keyVersion), sealed, &b); err != nil {
		return err
	}
	n.Signer, n.Subject, n.Text, n.Signature = b.Signer, b.Subject, b.Text, b.Signature
	n.FrozenAt, n.Digest, n.Approvals, n.Change, n.Was = b.FrozenAt, b.Digest, b.Approvals, b.Change, b.Was
	n.Basis, n.Edited = b.Basis, b.Edited
	if frozen == nil {
		return nil
	}
	var err error
	if n.Frozen, err = key.Open(db.aad("notice", "frozen", string(n.ID), string(n.Release), keyVersion), frozen); err != nil {
		return fmt.Errorf("open the frozen bytes of notice %s: %w", n.ID, err)
	}
	if sum := sha256.Sum256(n.Frozen); n.Digest != "" && hex.EncodeToString(sum[:]) != n.Digest {
		return fmt.Errorf("the frozen bytes of notice %s are not those of its digest", n.ID)
	}
	return nil
}

// loadNotices adds the release's notices with their tallies, in the order of
// the day. The lock of the release is theirs too.
func (t *tx) loadNotices(ctx context.Context, lr *loadedRelease, _ lock) error {
	rows, err := t.Query(ctx, `SELECT `+noticeColumns+`,
			(SELECT coalesce(jsonb_object_agg(d.state, d.count), '{}') FROM
				(SELECT state, count(*) FROM delivery WHERE notice = n.id GROUP BY state) d)
		FROM notice n WHERE n.release = $1
		ORDER BY n.send_at NULLS FIRST, array_position(ARRAY['pre-announcement', 'distributors', 'reporters', 'announcement', 'oss-security'], n.audience), n.generation, n.id`, lr.ID)
	if err != nil {
		return fmt.Errorf("load the notices of release %s: %w", lr.ID, err)
	}
	lr.Notices, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*disclosure.Notice, error) {
		var tally map[disclosure.DeliveryState]int
		n, err := t.db.scanNotice(row, lr.key, lr.keyVersion, &tally)
		if err == nil {
			n.Tally = tally
		}
		return n, err
	})
	if err != nil {
		return fmt.Errorf("load the notices of release %s: %w", lr.ID, err)
	}
	return nil
}

// noticePrint changes with everything of a notice that is stored in its row.
// The digest stands for the frozen bytes.
func noticePrint(n *disclosure.Notice) string {
	c := *n
	c.Frozen, c.Tally = nil, nil
	return fingerprintOf(&c) + strconv.FormatBool(n.Frozen == nil)
}

// casePrint changes with everything of a case but its policy.
func casePrint(c *disclosure.Case) string {
	copied := *c
	copied.Policy = nil
	return fingerprintOf(&copied)
}

func fingerprintOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return disclosure.NewID() // never equal: it is saved
	}
	sum := sha256.Sum256(b)
	return string(sum[:])
}

// saveNotices writes those that changed and what follows from it: deliveries
// are queued when sending begins, and canceled when a notice is void.
func (t *tx) saveNotices(ctx context.Context, lr *loadedRelease) error {
	batch := &pgx.Batch{}
	for _, n := range lr.Notices {
		before, known := lr.notices[n.ID]
		if known && before.print == noticePrint(n) {
			continue
		}
		if err := t.queueNotice(batch, lr, n); err != nil {
			return err
		}
	}
	if batch.Len() > 0 {
		if err := t.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("save the notices of release %s: %w", lr.ID, err)
		}
	}
	for _, n := range lr.Notices {
		if n.State == disclosure.NoticeSending && lr.notices[n.ID].state != disclosure.NoticeSending {
			if err := t.queueDeliveries(ctx, lr, n); err != nil {
				return err
			}
		}
	}
	return t.cancelVoid(ctx, lr)
}

func (t *tx) queueNotice(batch *pgx.Batch, lr *loadedRelease, n *disclosure.Notice) error {
	place := func(column string) vault.AAD {
		return t.db.aad("notice", column, string(n.ID), string(lr.ID), lr.keyVersion)
	}
	body, err := sealJSON(lr.key, place("body"), noticeBody{
		Signer: n.Signer, Subject: n.Subject, Text: n.Text, Signature: n.Signature, FrozenAt: n.FrozenAt,
		Digest: n.Digest, Approvals: n.Approvals, Change: n.Change, Was: n.Was, Basis: n.Basis, Edited: n.Edited,
	})
	if err != nil {
		return err
	}
	var frozen []byte
	if n.Frozen != nil {
		frozen = lr.key.Seal(place("frozen"), n.Frozen)
	}
	batch.Queue(`INSERT INTO notice (id, release, audience, state, generation, send_at, deadline, sent_at, body, frozen)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, generation = excluded.generation, send_at = excluded.send_at,
			deadline = excluded.deadline, sent_at = excluded.sent_at, body = excluded.body, frozen = excluded.frozen`,
		n.ID, lr.ID, n.Audience, n.State, n.Generation, orNull(n.SendAt), orNull(n.Deadline), orNull(n.SentAt), body, frozen)
	return nil
}

// Void deliveries are those nobody has begun; a worker that has finds the
// go-ahead closed and puts its own back.
func (t *tx) cancelVoid(ctx context.Context, lr *loadedRelease) error {
	_, err := t.Exec(ctx, `UPDATE delivery d SET state = 'canceled', next_at = NULL, updated = $3 FROM notice n
		WHERE n.release = $1 AND d.notice = n.id AND d.state IN ('queued', 'deferred')
			AND (n.state NOT IN ('sending', 'sent') OR n.generation <> $2)`, lr.ID, lr.Generation, t.now)
	if err != nil {
		return fmt.Errorf("cancel the void deliveries of release %s: %w", lr.ID, err)
	}
	return nil
}

// recipients are who reads a notice, as they stand now, in order of name.
func (t *tx) recipients(ctx context.Context, r *disclosure.Release, a disclosure.Audience) ([]disclosure.Recipient, error) {
	switch a {
	case disclosure.ToDistributors:
		return t.distributorRecipients(ctx, "")
	case disclosure.ToReporters:
		return reporterRecipients(r), nil
	case disclosure.ToAnnounce, disclosure.ToAnnounceAhead:
		if r.Policy.Announce.Address == "" {
			return nil, nil
		}
		return []disclosure.Recipient{{Name: "announcement list", Address: r.Policy.Announce.Address, ClearText: true}}, nil
	case disclosure.ToOSS:
		if r.Policy.Announce.OSS == "" {
			return nil, nil
		}
		return []disclosure.Recipient{{Name: "oss-security", Address: r.Policy.Announce.OSS, ClearText: true}}, nil
	}
	return nil, fmt.Errorf("nobody is told as %q", a)
}

// reporterRecipients are the reporters to whom a notice goes by mail, each
// once. Who has a mailbox reads it there.
func reporterRecipients(r *disclosure.Release) []disclosure.Recipient {
	var list []disclosure.Recipient
	for _, c := range r.Cases {
		for _, rep := range c.Reporters {
			known := slices.ContainsFunc(list, func(x disclosure.Recipient) bool { return strings.EqualFold(x.Address, rep.Address) })
			if known || !rep.ByMail(r.Policy) {
				continue
			}
			x := disclosure.Recipient{Reporter: rep.ID, Name: rep.Label(), Address: rep.Address}
			if len(rep.Key) > 0 {
				sum := sha256.Sum256(rep.Key)
				x.Keys, x.Prints = [][]byte{rep.Key}, []string{hex.EncodeToString(sum[:])}
			} else {
				x.ClearText = true
			}
			list = append(list, x)
		}
	}
	slices.SortFunc(list, byName)
	return list
}

func byName(a, b disclosure.Recipient) int {
	return cmp.Or(cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.Distributor, b.Distributor), cmp.Compare(a.Address, b.Address))
}

// ListDigest is what an approval binds of the list: who, at which address,
// under which keys, and who in clear. Names and order do not matter.
func ListDigest(list []disclosure.Recipient) string {
	entries := make([]string, len(list))
	for i, r := range list {
		entries[i] = listEntry(r)
	}
	slices.Sort(entries)
	sum := sha256.New()
	for _, e := range entries {
		sum.Write(binary.BigEndian.AppendUint32(nil, uint32(len(e))))
		sum.Write([]byte(e))
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func listEntry(r disclosure.Recipient) string {
	prints := slices.Sorted(slices.Values(r.Prints))
	parts := append([]string{string(r.Distributor), string(r.Reporter), r.Address, strconv.FormatBool(r.ClearText)}, prints...)
	b, _ := json.Marshal(parts) // strings always marshal
	return string(b)
}

// approvalTag binds a yes under the desk key, which no login holds.
func (db *DB) approvalTag(desk vault.Key, n *disclosure.Notice, a disclosure.Approval) []byte {
	return desk.Tag("approval", []byte(db.instance), []byte(n.Release), []byte(n.ID), []byte(n.Audience), []byte(a.Digest), []byte(a.List),
		binary.BigEndian.AppendUint64(nil, uint64(a.Generation)), []byte(a.Member), []byte(a.Name),
		binary.BigEndian.AppendUint64(nil, uint64(a.At.UnixMicro())))
}

// checkApproval finds the approval that holds for the notice as it stands:
// its tag fits, and so do bytes and generation.
func (db *DB) checkApproval(desk vault.Key, n *disclosure.Notice) (*disclosure.Approval, error) {
	a := n.Approved()
	if a == nil {
		return nil, disclosure.Refuse("notices/"+string(n.Audience), "The notice is not approved as it stands. Freeze and approve it again.")
	}
	if !vault.EqualTags(a.Tag, db.approvalTag(desk, n, *a)) {
		return nil, disclosure.Refuse("notices/"+string(n.Audience), "The approval was not made by this instance. Freeze and approve the notice again.")
	}
	return a, nil
}

// deliveryBody is delivery.sealed. It names its notice and its reader, so that
// plain columns that were swapped are seen.
type deliveryBody struct {
	Notice      disclosure.NoticeID      `json:"notice"`
	Distributor disclosure.DistributorID `json:"distributor,omitempty"`
	Reporter    disclosure.ReporterID    `json:"reporter,omitempty"`
	List        string                   `json:"list"` // digest of the list it was taken from
	Name        string                   `json:"name"`
	Address     string                   `json:"address"`
	Prints      []string                 `json:"prints,omitempty"`
	Clear       bool                     `json:"clear,omitempty"`
	MessageID   string                   `json:"message_id"`
	Token       string                   `json:"token"`
	InReplyTo   string                   `json:"in_reply_to,omitempty"`
	Reply       string                   `json:"reply,omitempty"`
	Digest      string                   `json:"digest,omitempty"`
}

func (b deliveryBody) recipient() disclosure.Recipient {
	return disclosure.Recipient{Distributor: b.Distributor, Reporter: b.Reporter, Name: b.Name, Address: b.Address, Prints: b.Prints, ClearText: b.Clear}
}

// noDeadline is how long a notice without a deadline of its own is tried.
const noDeadline = 72 * time.Hour

// queueDeliveries makes one row per recipient, in random order, of the list as
// it was approved; another list than that is refused.
func (t *tx) queueDeliveries(ctx context.Context, lr *loadedRelease, n *disclosure.Notice) error {
	desk, err := t.db.deskKey()
	if err != nil {
		return err
	}
	approval, err := t.db.checkApproval(desk, n)
	if err != nil {
		return err
	}
	list, err := t.recipients(ctx, lr.Release, n.Audience)
	if err != nil {
		return err
	}
	if ListDigest(list) != approval.List {
		return disclosure.Refuse("notices/"+string(n.Audience), "The list changed since the notice was approved. Look at it and approve it again.")
	}
	expires := n.Deadline
	if expires.IsZero() {
		expires = t.now.Add(noDeadline)
	}
	_, domain, _ := strings.Cut(lr.Policy.Contact.Address, "@")
	mathrand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	earlier, err := t.firstMails(ctx, lr)
	if err != nil {
		return err
	}
	batch := &pgx.Batch{}
	for _, r := range list {
		id := disclosure.DeliveryID(disclosure.NewID())
		body := deliveryBody{Notice: n.ID, Distributor: r.Distributor, Reporter: r.Reporter, List: approval.List, Name: r.Name,
			Address: r.Address, Prints: r.Prints, Clear: r.ClearText, MessageID: disclosure.NewID() + "@" + cmp.Or(domain, "postern.invalid"),
			InReplyTo: earlier[r.Address]}
		body.Token = deliveryToken(desk, body.MessageID)
		mac, err := t.db.tokenMAC(body.Token)
		if err != nil {
			return err
		}
		sealed, err := sealJSON(lr.key, t.db.aad("delivery", "sealed", string(id), string(lr.ID), lr.keyVersion), body)
		if err != nil {
			return err
		}
		batch.Queue(`INSERT INTO delivery (id, notice, distributor, reporter, state, next_at, expires, updated, token, sealed)
			VALUES ($1, $2, nullif($3, ''), nullif($4, ''), 'queued', $5, $6, $5, $7, $8)`,
			id, n.ID, string(r.Distributor), string(r.Reporter), t.now, expires, mac, sealed)
	}
	if err := t.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("queue the deliveries of notice %s: %w", n.ID, err)
	}
	t.note("notice.sending", string(n.ID), map[string]any{"recipients": len(list), "digest": n.Digest})
	return nil
}

// firstMails is, by address, the Message-ID of the first mail of the release
// that reached it: later ones refer to it.
func (t *tx) firstMails(ctx context.Context, lr *loadedRelease) (map[string]string, error) {
	rows, err := t.Query(ctx, `SELECT d.id, d.sealed FROM delivery d JOIN notice n ON n.id = d.notice
		WHERE n.release = $1 AND d.state = 'sent' ORDER BY d.updated DESC, d.id`, lr.ID)
	if err != nil {
		return nil, fmt.Errorf("look for earlier mails of release %s: %w", lr.ID, err)
	}
	first := map[string]string{}
	var id disclosure.DeliveryID
	var sealed []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &sealed}, func() error {
		var b deliveryBody
		if err := openJSON(lr.key, t.db.aad("delivery", "sealed", string(id), string(lr.ID), lr.keyVersion), sealed, &b); err != nil {
			return err
		}
		first[b.Address] = b.MessageID
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for earlier mails of release %s: %w", lr.ID, err)
	}
	return first, nil
}
