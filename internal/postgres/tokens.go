package postgres

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

// Tokens stand in Reply-To and return paths. The database keeps their MACs
// under the desk key alone: whoever reads it can neither use nor recognize one.

// tokenEncoding survives systems that change the case of a local part.
var tokenEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// tokenMAC is what is stored of a reply or return-path token.
func (db *DB) tokenMAC(token string) ([]byte, error) {
	desk, err := db.deskKey()
	if err != nil {
		return nil, err
	}
	return desk.Tag("mail token", []byte(strings.ToLower(strings.TrimSpace(token)))), nil
}

// Claim says whose a token is.
type Claim struct {
	Known bool
	Case  disclosure.CaseID // of a reporter's lane
	// Application: of an applicant's lane.
	Application disclosure.ApplicationID
	Release     disclosure.ReleaseID  // of a distributor's
	Delivery    disclosure.DeliveryID // the one that was answered, or bounced
	Lane        disclosure.Lane
}

// LookupToken finds what a token was made for. An unknown one is no error:
// what carries it is ordinary.
func (db *DB) LookupToken(ctx context.Context, token string) (Claim, error) {
	return db.lookupToken(ctx, db.pool, token)
}

func (db *DB) lookupToken(ctx context.Context, q queryer, token string) (c Claim, err error) {
	if token == "" || len(token) > 100 {
		return c, nil
	}
	mac, err := db.tokenMAC(token)
	if err != nil {
		return c, err
	}
	err = q.QueryRow(ctx, `SELECT coalesce(case_id, ''), coalesce(application, ''), lane, lane_id FROM reply_token WHERE mac = $1 AND lane <> 'invite'`, mac).
		Scan(&c.Case, &c.Application, &c.Lane.Kind, &c.Lane.ID)
	if err == nil {
		c.Known = true
		return c, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return c, fmt.Errorf("look a token up: %w", unavailable(err))
	}
	d, err := db.DeliveryByToken(ctx, token)
	if errors.Is(err, disclosure.ErrNotFound) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	c = Claim{Known: true, Release: d.Release, Delivery: d.ID}
	if d.Recipient.Distributor != "" {
		c.Lane = disclosure.Lane{Kind: disclosure.LaneDistributor, ID: string(d.Recipient.Distributor)}
	}
	return c, nil
}

// Claim looks a token up that stood in an address the mail was sent to. From
// then on the arrival belongs to that lane. Call it before AddFile.
func (a *Arrival) Claim(ctx context.Context, token string) (Claim, error) {
	if len(a.files) > 0 || a.newID != "" {
		return Claim{}, errors.New("claim an arrival: files were added to it already")
	}
	c, err := a.t.db.lookupToken(ctx, a.t, token)
	if err != nil || !c.Known || a.From != nil {
		return c, err
	}
	switch {
	case c.Application != "": // whatever the lane is called
		if err := a.t.setApplicant(ctx, a, c.Application); err != nil {
			return c, err
		}
		if a.application == nil { // it became a case
			c.Application, c.Case, c.Lane.Kind = "", disclosure.CaseID(c.Application), disclosure.LaneReporter
		}
	case c.Lane.Kind == disclosure.LaneReporter:
		if err := a.t.setSender(ctx, a, c.Case, disclosure.ReporterID(c.Lane.ID)); err != nil {
			return c, err
		}
	case c.Lane.Kind == disclosure.LaneDistributor:
		if err := a.t.openReleaseKey(ctx, c.Release); err != nil {
			return c, err
		}
		a.claim = c
	}
	if a.found != nil && a.From == nil { // whose it was is no longer in the case
		a.found = nil
		return Claim{}, nil
	}
	return c, nil
}

// deliveryToken is the token of a delivery's return path and Reply-To. It is
// made from the Message-ID, so that a bounce which returns nothing but that
// finds its delivery too; without the desk key nobody makes one from the other.
func deliveryToken(desk vault.Key, messageID string) string {
	return tokenEncoding.EncodeToString(desk.Tag("delivery token", []byte(strings.ToLower(messageID)))[:16])
}

// ClaimReturned finds whose a mail of ours is by its Message-ID, as a
// notification of failure returned it: a delivery, or the lane of an answer.
// It never makes the arrival part of that lane, since who got a mail knows its
// Message-ID: it is good for noting a bounce alone.
func (a *Arrival) ClaimReturned(ctx context.Context, messageID string) (c Claim, err error) {
	id := strings.Trim(strings.TrimSpace(messageID), "<>")
	if id == "" || len(id) > 500 {
		return c, nil
	}
	desk, err := a.t.db.deskKey()
	if err != nil {
		return c, err
	}
	if c, err = a.t.db.lookupToken(ctx, a.t, deliveryToken(desk, id)); err != nil || c.Known {
		return c, err
	}
	local, _, _ := strings.Cut(id, "@")
	err = a.t.QueryRow(ctx, `SELECT coalesce(case_id, ''), coalesce(application, ''), lane, lane_id FROM message
		WHERE id = $1 AND release IS NULL AND state IN ('out', 'failed')`, local).Scan(&c.Case, &c.Application, &c.Lane.Kind, &c.Lane.ID)
	if errors.Is(err, pgx.ErrNoRows) {
		return Claim{}, nil
	}
	if err != nil {
		return c, fmt.Errorf("look a Message-ID up: %w", err)
	}
	c.Known = true
	return c, nil
}

// At most so many fixed acknowledgments leave in a day, to one domain and in
// all: whoever forges senders must not make us their mailer.
const (
	maxAcknowledgedDomain = 50
	maxAcknowledged       = 1000
)

// MayAcknowledge says whether the fixed acknowledgment may be mailed to an
// address, and notes that it was: once per address and day, whatever follows a
// plus sign in it, and within the bounds of its domain and of the day. Only
// MACs of address and domain are kept. disclosure.ErrHeld while the instance
// is held.
func (db *DB) MayAcknowledge(ctx context.Context, by disclosure.Caller, address string) (bool, error) {
	if !by.IsSystem() {
		return false, disclosure.ErrForbidden
	}
	desk, err := db.deskKey()
	if err != nil {
		return false, err
	}
	address = strings.ToLower(strings.TrimSpace(address))
	at := strings.LastIndexByte(address, '@')
	local, _, _ := strings.Cut(address[:max(at, 0)], "+")
	domain := address[at+1:]
	mac, domainMAC := desk.Tag("acknowledged", []byte(local+"@"+domain)), desk.Tag("acknowledged domain", []byte(domain))
	may := false
	err = db.transact(ctx, by, func(t *tx) error {
		if err := t.mayLeave(ctx); err != nil {
			return err
		}
		tag, err := t.Exec(ctx, `INSERT INTO acknowledged (mac, day, domain) SELECT $1, $2, $3
			FROM (SELECT count(*) AS total, count(*) FILTER (WHERE domain = $3) AS here FROM acknowledged WHERE day = $2) a
			WHERE total < $4 AND here < $5 ON CONFLICT DO NOTHING`, mac, t.now, domainMAC, maxAcknowledged, maxAcknowledgedDomain)
		if err != nil {
			return fmt.Errorf("note an acknowledgment: %w", err)
		}
		if _, err := t.Exec(ctx, `DELETE FROM acknowledged WHERE day < $1`, t.now.AddDate(0, 0, -2)); err != nil {
			return fmt.Errorf("forget old acknowledgments: %w", err)
		}
		may = tag.RowsAffected() == 1
		return nil
	})
	return may && err == nil, err
}
