package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

const (
	// claimLasts is how long a claimed delivery may lie between the claim and
	// the transaction that sends it; in that one, its row is locked, and no
	// sweeper touches it however long it takes.
	claimLasts = 30 * time.Second
	// attemptLasts bounds one attempt, SMTP included.
	attemptLasts = 10 * time.Minute
)

// backOff is how long a deferred delivery waits after its nth attempt.
func backOff(attempt int) time.Duration {
	steps := []time.Duration{time.Minute, 3 * time.Minute, 10 * time.Minute, 20 * time.Minute, time.Hour}
	return steps[min(max(attempt, 1), len(steps))-1]
}

// senders is the pool that deliveries use: a connection is held while a mail
// is handed over, and the desk must not wait for that.
func (db *DB) senders(ctx context.Context) (*pgxpool.Pool, error) {
	db.sending.mu.Lock()
	defer db.sending.mu.Unlock()
	if db.sending.pool != nil {
		return db.sending.pool, nil
	}
	conf := db.pool.Config()
	conf.MaxConns, conf.MinConns, conf.MinIdleConns = MaxSenders, 0, 0
	conf.MaxConnIdleTime = time.Minute
	// The same few statements for each mail: planning them anew, as the server
	// does for the first five, costs more than running them.
	conf.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), conf)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", unavailable(err))
	}
	db.sending.pool = pool
	return pool, nil
}

// MaxSenders is how many mails can be in flight from one process.
const MaxSenders = 32

// Deliver works off what is due of a notice, one mail a transaction, until
// nothing is due, the go-ahead is closed or ctx ends, and says how many
// deliveries are not over yet. Call it from as many goroutines as there may be
// connections (MaxSenders of them get one at a time); each has one mail in
// flight. send is given what to send and returns what became of it; it must
// call Outgoing.Confirm after the last byte of the body and before the final
// dot, in any goroutine but before it returns, and give up with a canceled
// outcome when that fails. now is the moved time. disclosure.ErrHeld while the
// instance is held. Notice.Frozen is shared by all mails of one call.
func (db *DB) Deliver(ctx context.Context, id disclosure.NoticeID, now func() time.Time, send func(context.Context, disclosure.Outgoing) disclosure.Outcome) (left int, err error) {
	pool, err := db.senders(ctx)
	if err != nil {
		return 0, err
	}
	desk, err := db.deskKey()
	if err != nil {
		return 0, err
	}
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return 0, fmt.Errorf("connect to the database: %w", unavailable(err))
	}
	s := &sender{db: db, conn: conn, id: id, now: now, send: send, desk: desk}
	err = s.work(ctx)
	conn.Release()
	return db.afterDelivering(ctx, s, err)
}

// sender is one goroutine's way through a notice.
type sender struct {
	db   *DB
	conn *pgxpool.Conn
	id   disclosure.NoticeID
	now  func() time.Time
	send func(context.Context, disclosure.Outgoing) disclosure.Outcome
	desk vault.Key

	notice  *disclosure.Notice
	release disclosure.ReleaseID
	from    string
	stamp   string // of the notice's row when it was loaded
	key     vault.Key
	version int  // of the key
	settled int  // outcomes stored
	told    bool // the release was moved to notified, or needs not be
}

// claim is a delivery with an attempt of this worker in the journal.
type claim struct {
	id      disclosure.DeliveryID
	attempt int
}

// errStop ends a sender's work without being anybody's fault.
var errStop = errors.New("there is nothing to send now")

func (s *sender) work(ctx context.Context) error {
	if err := s.load(ctx); err != nil {
		return err
	}
	c, err := s.claimFirst(ctx)
	for err == nil && c != nil {
		c, err = s.one(ctx, *c)
	}
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

// load reads the notice with its frozen bytes and approval.
func (s *sender) load(ctx context.Context) error {
	var wrapped []byte
	var policyVersion int
	row := s.conn.QueryRow(ctx, `SELECT n.xmin::text, r.id, r.wrapped_key, r.key_version, r.policy_version
		FROM notice n JOIN release r ON r.id = n.release WHERE n.id = $1`, s.id)
	if err := row.Scan(&s.stamp, &s.release, &wrapped, &s.version, &policyVersion); err != nil {
		return fmt.Errorf("load notice %s: %w", s.id, unavailable(notFound(err)))
	}
	policy, err := s.db.policy(ctx, s.conn, policyVersion)
	if err != nil {
		return err
	}
	s.from = policy.Contact.Address
	if s.key, err = s.db.openOwnerKey("release", string(s.release), wrapped, s.version); err != nil {
		return err
	}
	row = s.conn.QueryRow(ctx, `SELECT `+noticeColumns+` FROM notice n WHERE n.id = $1`, s.id)
	if s.notice, err = s.db.scanNotice(row, s.key, s.version); err != nil {
		return fmt.Errorf("load notice %s: %w", s.id, unavailable(notFound(err)))
	}
	return nil
}

// claimNext takes one delivery that is due and commits its attempt to the
// journal, before any byte of it is sent. Rows were inserted in random order.
const claimNext = `WITH due AS (
		SELECT d.id FROM delivery d JOIN notice n ON n.id = d.notice
		WHERE d.notice = $1 AND d.next_at <= $2 AND d.expires > $2 AND n.state IN ('sending', 'sent')
		ORDER BY d.next_at LIMIT 1 FOR UPDATE OF d SKIP LOCKED),
	taken AS (
		UPDATE delivery d SET state = 'sending', attempt = d.attempt + 1, worker = $3, until = $4, next_at = NULL, updated = $2
		FROM due WHERE d.id = due.id RETURNING d.id, d.attempt),
	journal AS (
		INSERT INTO delivery_attempt (delivery, attempt, worker, started) SELECT id, attempt, $3, $2 FROM taken)
	SELECT id, attempt FROM taken`

func (s *sender) claimArgs() []any {
	return []any{s.id, s.now(), s.db.worker, s.db.Wall().Add(claimLasts)}
}

func (s *sender) claimFirst(ctx context.Context) (*claim, error) {
	if ctx.Err() != nil {
		return nil, errStop
	}
	c, err := scanClaim(s.conn.QueryRow(ctx, claimNext, s.claimArgs()...))
	if err != nil {
		return nil, fmt.Errorf("claim a delivery of notice %s: %w", s.id, unavailable(err))
	}
	return c, nil
}

func scanClaim(row pgx.Row) (*claim, error) {
	var c claim
	err := row.Scan(&c.id, &c.attempt)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &c, err
}

// state is what a mail's transaction reads afresh.
type state struct {
	open        bool
	held        bool
	mine        bool
	stamp       string
	noticeState disclosure.NoticeState
	release     disclosure.ReleaseState
	expires     time.Time
	body        deliveryBody
	distributor disclosure.DistributorID // as the plain columns have it
	reporter    disclosure.ReporterID
	now         *disclosure.Recipient // as the directory has it; nil: not on the list any more
}

// one sends the claimed delivery and claims the next: one transaction, in
// which the go-ahead is held with KEY SHARE and the delivery FOR UPDATE.
func (s *sender) one(ctx context.Context, c claim) (next *claim, err error) {
	ctx, cancel := context.WithTimeout(ctx, attemptLasts)
	defer cancel()
	// Once a mail may have left, its outcome is stored even while the process
	// is being stopped.
	store := context.WithoutCancel(ctx)
	st, err := s.begin(ctx, c)
	if err != nil {
		s.rollback(store)
		return nil, err
	}
	if !st.mine { // a sweeper thought this worker dead
		s.rollback(store)
		return s.claimFirst(ctx)
	}
	if st.reporter != "" {
		if st.now, err = s.reporterNow(ctx, st.reporter); err != nil {
			s.rollback(store)
			return nil, err
		}
	}
	if st.stamp != s.stamp { // the notice was stored anew: judge by what is stored now
		if err := s.load(ctx); err != nil {
			s.rollback(store)
			return nil, err
		}
	}
	now := s.now()
	var outcome disclosure.Outcome
	switch why := s.refuses(st, now); {
	case !st.open || st.held:
		s.rollback(store)
		return nil, s.putBack(store, c, st)
	case !now.Before(st.expires):
		outcome = disclosure.Outcome{State: disclosure.Expired, Text: "its deadline passed"}
	case why != "":
		outcome = disclosure.Outcome{State: disclosure.Canceled, Text: why}
	case ctx.Err() != nil:
		s.rollback(store)
		return nil, s.putBack(store, c, st)
	default:
		outcome = s.handOver(ctx, c, st)
	}
	next, err = s.settle(store, ctx, c, st, outcome)
	if err != nil {
		return nil, err
	}
	s.settled++
	if outcome.State == disclosure.Delivered && !s.told {
		if err := s.tellRelease(ctx, st); err != nil { // no reason to drop the mail claimed already; the notice's end moves it too
			s.db.log.Warn("a release was not moved to notified; it is when its notice ends", "release", string(s.release), "error", err)
		}
	}
	return next, nil
}

// begin opens the transaction and reads what may have changed, in one round trip.
func (s *sender) begin(ctx context.Context, c claim) (st state, err error) {
	var sealed, directory []byte
	var keys [][]byte
	var ids []string
	var distributor, reporter *string
	var revoked bool
	var everKeys int
	b := &pgx.Batch{}
	b.Queue(`BEGIN`)
	b.Queue(`SELECT true FROM go_ahead WHERE release = $1 AND open AND generation = $2 FOR KEY SHARE`, s.release, s.notice.Generation)
	b.Queue(`SELECT d.state = 'sending' AND d.worker = $2 AND d.attempt = $3 AND d.notice = $4, d.expires, d.sealed, d.distributor, d.reporter,
			(SELECT held_since IS NOT NULL FROM instance), n.xmin::text, n.state, r.state,
			x.revoked IS NOT NULL OR x.id IS NULL, x.sealed,
			(SELECT count(*) FROM distributor_key k WHERE k.distributor = d.distributor),
			ARRAY(SELECT k.sealed FROM distributor_key k WHERE k.distributor = d.distributor AND k.removed IS NULL ORDER BY k.id),
			ARRAY(SELECT k.id FROM distributor_key k WHERE k.distributor = d.distributor AND k.removed IS NULL ORDER BY k.id)
		FROM delivery d JOIN notice n ON n.id = d.notice JOIN release r ON r.id = n.release
		LEFT JOIN distributor x ON x.id = d.distributor WHERE d.id = $1 FOR UPDATE OF d`, c.id, s.db.worker, c.attempt, s.id)
	results := s.conn.SendBatch(ctx, b)
	defer func() {
		err = errors.Join(err, results.Close())
		if err != nil {
			err = fmt.Errorf("begin delivery %s: %w", c.id, unavailable(err))
		}
	}()
	if _, err := results.Exec(); err != nil {
		return st, err
	}
	if err := results.QueryRow().Scan(&st.open); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return st, err
	}
	err = results.QueryRow().Scan(&st.mine, &st.expires, &sealed, &distributor, &reporter, &st.held, &st.stamp, &st.noticeState, &st.release,
		&revoked, &directory, &everKeys, &keys, &ids)
	if err != nil {
		return st, err
	}
	if err := openJSON(s.key, s.place(c.id), sealed, &st.body); err != nil {
		return st, err
	}
	if distributor != nil {
		st.distributor = disclosure.DistributorID(*distributor)
		if !revoked {
			r, err := s.db.openRecipient(s.desk, st.distributor, directory, ids, keys, everKeys)
			if err != nil {
				return st, err
			}
			st.now = &r
		}
	}
	if reporter != nil {
		st.reporter = disclosure.ReporterID(*reporter)
	}
	return st, nil
}

// reporterNow is a reporter of the release as mail reaches them now; nil when
// it does not any more. It reads on the sender's own connection: whoever waits
// for this mail may hold the last one of the pool.
func (s *sender) reporterNow(ctx context.Context, id disclosure.ReporterID) (*disclosure.Recipient, error) {
	t := &tx{Tx: connTx{conn: s.conn}, db: s.db, by: disclosure.System("deliveries"), now: s.now(),
		keys: map[string]vault.Key{}, was: map[disclosure.CaseID]caseBefore{}}
	lr, err := t.loadRelease(ctx, s.release, forShow)
	if err != nil {
		return nil, err
	}
	for _, r := range reporterRecipients(lr.Release) {
		if r.Reporter == id {
			return &r, nil
		}
	}
	return nil, nil
}

// connTx lets what reads in a transaction read in one that was begun by hand.
type connTx struct {
	pgx.Tx // nil: nothing else of a transaction is offered
	conn   *pgxpool.Conn
}

func (c connTx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return c.conn.Query(ctx, sql, args...)
}

func (c connTx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return c.conn.QueryRow(ctx, sql, args...)
}

func (c connTx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	return c.conn.SendBatch(ctx, b)
}

func (s *sender) place(id disclosure.DeliveryID) vault.AAD {
	return s.db.aad("delivery", "sealed", string(id), string(s.release), s.version)
}

// refuses says why this mail must not leave; empty: it may.
func (s *sender) refuses(st state, now time.Time) string {
	b := st.body
	a, err := s.db.checkApproval(s.desk, s.notice)
	switch {
	case err != nil:
		return err.Error()
	case st.noticeState != disclosure.NoticeSending && st.noticeState != disclosure.NoticeSent:
		return "the notice is " + string(st.noticeState)
	case b.Notice != s.id || b.Distributor != st.distributor || b.Reporter != st.reporter || b.List != a.List:
		return "the delivery is not the one that was approved"
	case !s.notice.Deadline.IsZero() && !now.Before(s.notice.Deadline):
		return "the notice's deadline passed"
	case s.notice.Audience.Private() && st.now == nil:
		return "the recipient is not on the list any more"
	case st.now != nil && listEntry(*st.now) != listEntry(b.recipient()):
		return "address or keys are not those that were approved"
	}
	return ""
}

// handOver calls send with what it needs.
func (s *sender) handOver(ctx context.Context, c claim, st state) disclosure.Outcome {
	b := st.body
	to := b.recipient()
	if st.now != nil {
		to = *st.now
	}
	confirmed := error(nil)
	out := disclosure.Outgoing{
		Delivery: disclosure.Delivery{ID: c.id, Notice: s.id, Release: s.release, State: disclosure.Sending, Attempt: c.attempt,
			Recipient: to, MessageID: b.MessageID, Token: b.Token},
		Notice: s.notice, Recipient: to, From: s.from, InReplyTo: b.InReplyTo, Deadline: st.expires,
		Confirm: func() error {
			confirmed = s.confirm(ctx, st)
			return confirmed
		},
	}
	outcome := s.send(ctx, out)
	if outcome.State == disclosure.Canceled && (confirmed != nil || ctx.Err() != nil) {
		outcome.State = disclosure.Queued // known unsent; what stopped it decides what becomes of it
		if confirmed != nil && !s.now().Before(st.expires) {
			outcome.State = disclosure.Expired
		}
	}
	return outcome
}

// confirm asks once more, before the final dot. Each statement sees what is
// committed by now; that the connection answers is part of the question.
func (s *sender) confirm(ctx context.Context, st state) error {
	var open, held bool
	err := s.conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM go_ahead WHERE release = $1 AND open AND generation = $2),
		(SELECT held_since IS NOT NULL FROM instance)`, s.release, s.notice.Generation).Scan(&open, &held)
	switch {
	case err != nil:
		return fmt.Errorf("ask for the go-ahead: %w", unavailable(err))
	case !open:
		return errors.New("the go-ahead was taken back")
	case held:
		return disclosure.ErrHeld
	case !s.now().Before(st.expires):
		return errors.New("its deadline passed")
	}
	return nil
}

func (s *sender) rollback(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if s.conn.Conn().PgConn().TxStatus() != 'I' {
		_, _ = s.conn.Exec(ctx, `ROLLBACK`)
	}
}

// tellRelease moves the release to notified once the first advance notice
// left. All senders find that at the same time; one of them loads the release.
func (s *sender) tellRelease(ctx context.Context, st state) error {
	s.told = true
	if !s.notice.Audience.Ahead() || st.release != disclosure.Scheduled {
		return nil
	}
	s.db.sending.tell.Lock()
	defer s.db.sending.tell.Unlock()
	err := s.db.pool.QueryRow(ctx, `SELECT state FROM release WHERE id = $1`, s.release).Scan(&st.release)
	if err != nil {
		return fmt.Errorf("look at release %s: %w", s.release, unavailable(notFound(err)))
	}
	if st.release != disclosure.Scheduled {
		return nil
	}
	return s.db.updateRelease(ctx, disclosure.System("deliveries"), s.release, func(t *tx, lr *loadedRelease) error {
		if lr.State != disclosure.Scheduled {
			return errNothing
		}
		return lr.Move(disclosure.Notified, t.by, t.now)
	})
}
