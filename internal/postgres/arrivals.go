package postgres

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

// Arrival is one arrival being opened, inside the transaction that stores what
// is found. It is good only until the callback returns.
type Arrival struct {
	ID       disclosure.ArrivalID
	Kind     disclosure.ArrivalKind
	Channel  disclosure.Channel
	Received time.Time
	Header   disclosure.ArrivalHeader
	// Body is the bytes as received, opened chunk by chunk as they are read.
	Body Body
	// From is whose mailbox it was added to, or whose lane Claim found; nil:
	// nobody known, and a new case will be made.
	From *disclosure.Reporter

	t       *tx
	meta    vault.ArrivalMeta
	spools  []string // made, and to be dropped
	ciphers [][]byte // of Opened
	closed  bool     // it could not be opened
	key     vault.Key
	found   *disclosure.Case // of From
	newID   disclosure.CaseID
	wrapped []byte // of newID
	claim   Claim
	files   []disclosure.File
	// applies: it begins an application. application: it belongs to that one.
	applies     bool
	application *disclosure.Application
}

// Format keeps header and keys out of fmt's output.
func (a *Arrival) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[arrival "+string(a.ID)+"]") }

// Opened is what a callback found in an arrival. Files were added with
// Arrival.AddFile.
type Opened struct {
	Title      string // suggested, for a new case; empty: the header's, or the text's first line
	Text       string
	Protection disclosure.Protection
	Name       string   // of the sender; empty: as the header says
	Address    string   // the same
	Key        []byte   // the sender's certificate, binary, if one came along
	KeyPrint   string   // its fingerprint, as shown
	Receipt    string   // clear-signed by the team; goes into the mailbox it came to, when not empty
	MailID     string   // Message-ID of the mail, for threading the answer
	Checked    []string // what the mail server named in the configuration found about the sender
	// Ciphertexts are digests of what was encrypted in it: the same one may
	// have come before in another wrapping.
	Ciphertexts [][]byte
	Attention   string // why a person has to look; empty: nothing
	// Bounce: it tells what became of a mail of ours. No case is made when that
	// mail is known.
	Bounce *Bounce
}

// Bounce is what a delivery status notification told.
type Bounce struct {
	Delivery disclosure.DeliveryID // as Claim found it; empty: Case
	Case     disclosure.CaseID     // an answer in this case came back; its history says so
	// Application: an answer to this one came back.
	Application disclosure.ApplicationID
	Failed      bool   // final, not only late
	Text        string // the server's words
}

// WaitingArrivals counts what is not opened yet. It needs no unlocked vault.
func (db *DB) WaitingArrivals(ctx context.Context) (n int, oldest time.Time, err error) {
	var first *time.Time
	err = db.pool.QueryRow(ctx, `SELECT count(*), min(received) FROM arrival WHERE opened IS NULL`).Scan(&n, &first)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("count the arrivals: %w", unavailable(err))
	}
	return n, timeOf(first), nil
}

// Put-off times of what cannot be opened now.
const (
	retryFirst = time.Second
	retryMost  = time.Hour
	// A message that came before the report it belongs to was opened waits for
	// it, this often.
	waitsForReport = 30
)

// NextArrival opens the oldest waiting arrival that no other worker has, gives
// it to open, and stores what open found, all in one transaction; found is
// false when none waits. When open fails or panics nothing is lost: the
// arrival becomes a case that needs attention, its original at hand. When the
// database fails, or ctx ends, it waits as before. Only work may call it; it
// fails with vault.ErrLocked before touching anything.
func (db *DB) NextArrival(ctx context.Context, by disclosure.Caller, open func(context.Context, *Arrival) (Opened, error)) (found bool, err error) {
	if !by.IsSystem() {
		return false, disclosure.ErrForbidden
	}
	if _, err := db.deskKey(); err != nil {
		return false, err
	}
	var id disclosure.ArrivalID
	err = db.transact(ctx, by, func(t *tx) error {
		found = false
		a := &Arrival{t: t}
		var encapsulation, header []byte
		var attempts int
		err := t.QueryRow(ctx, `SELECT id, kind, channel, received, vault_key, encapsulation, header, attempts FROM arrival
			WHERE opened IS NULL AND (retry_at IS NULL OR retry_at <= $1) ORDER BY received, id LIMIT 1 FOR UPDATE SKIP LOCKED`, t.now).
			Scan(&a.ID, &a.Kind, &a.Channel, &a.Received, &a.meta.VaultKey, &encapsulation, &header, &attempts)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look for an arrival: %w", err)
		}
		found, id = true, a.ID
		a.Received = a.Received.UTC()
		a.meta = vault.ArrivalMeta{Instance: db.instance, ID: string(a.ID), Kind: string(a.Kind), Channel: string(a.Channel),
			VaultKey: a.meta.VaultKey, Received: a.Received}
		return t.openArrival(ctx, a, encapsulation, header, attempts, open)
	})
	if err != nil && found && ctx.Err() == nil && !errors.Is(err, vault.ErrLocked) {
		db.putOff(ctx, id)
	}
	return found, err
}

// putOff makes room for the next arrival after a failure.
func (db *DB) putOff(ctx context.Context, id disclosure.ArrivalID) {
	_, err := db.pool.Exec(ctx, `UPDATE arrival SET attempts = attempts + 1,
		retry_at = $2::timestamptz + least($3::interval, $4::interval * power(2, least(attempts, 20))) WHERE id = $1 AND opened IS NULL`,
		id, db.Now(), retryMost, retryFirst)
	if err != nil {
		db.log.Warn("an arrival could not be put off", "arrival", string(id), "error", err)
	}
}

func (t *tx) openArrival(ctx context.Context, a *Arrival, encapsulation, header []byte, attempts int,
	open func(context.Context, *Arrival) (Opened, error)) error {
	key, err := t.db.Vault().OpenArrival(a.meta, encapsulation)
	if errors.Is(err, vault.ErrLocked) {
		return err
	}
	if err != nil {
		return t.cannotOpen(ctx, a, attempts, err)
	}
	a.key = key
	damaged := t.readHeader(a, header)
	if err := t.findSender(ctx, a); err != nil {
		return err
	}
	if err := t.takeInvitation(ctx, a); err != nil {
		return err
	}
	if a.From == nil && a.Kind == disclosure.ArrivalMessage && attempts < waitsForReport {
		if waits, err := t.waitsForEarlier(ctx, a); err != nil || waits {
			return err
		}
	}
	if a.Body, err = newArrivalBody(ctx, t, a.meta, key); err != nil {
		return err
	}
	if damaged == nil {
		damaged = t.inSavepoint(ctx, func() error {
			o, err := safely(ctx, a, open)
			if err != nil {
				return err
			}
			if err := t.dropSpools(ctx, a); err != nil {
				return err
			}
			return t.storeArrival(ctx, a, o)
		})
		if damaged == nil {
			return nil
		}
		if t.isDatabase(ctx, damaged) {
			return damaged
		}
		t.db.log.Error("an arrival could not be read; it becomes a case that needs attention", "arrival", string(a.ID))
	}
	// What the failed attempt changed in memory is not what is stored.
	unreadable := func(why string) error {
		return t.inSavepoint(ctx, func() error {
			a.files, a.newID, a.wrapped, a.claim, a.spools, a.ciphers = nil, "", nil, Claim{}, nil, nil
			if err := t.findSender(ctx, a); err != nil {
				return err
			}
			return t.storeArrival(ctx, a, Opened{
				Title: "Report that could not be read", Protection: disclosure.Protection{Encryption: disclosure.Unopened},
				Attention: "It could not be read, and is kept as it came" + why,
			})
		})
	}
	err = unreadable(": " + oneLine(damaged.Error(), 500))
	if err != nil && !t.isDatabase(ctx, err) {
		return unreadable(".") // the words were at fault, or else it is tried again later
	}
	return err
}

// oneLine keeps of what may quote a stranger the characters that show.
func oneLine(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return clip(strings.Join(strings.Fields(s), " "), most)
}

// inSavepoint undoes what f did when it fails, and nothing else.
func (t *tx) inSavepoint(ctx context.Context, f func() error) error {
	outer, log := t.Tx, len(t.log)
	defer func() { t.Tx = outer }()
	err := pgx.BeginFunc(ctx, outer, func(inner pgx.Tx) error {
		t.Tx = inner
		return f()
	})
	if err != nil {
		t.log = t.log[:log]
	}
	return err
}

func safely(ctx context.Context, a *Arrival, open func(context.Context, *Arrival) (Opened, error)) (o Opened, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("the program broke while reading it")
		}
	}()
	return open(ctx, a)
}

// isDatabase tells a database that fails from an arrival that cannot be read:
// only the first is worth another attempt.
func (t *tx) isDatabase(ctx context.Context, err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code[:2] != "22" && pg.Code[:2] != "23" // data that does not fit: trying again is no use
	}
	return ctx.Err() != nil || errors.Is(unavailable(err), ErrUnavailable) || errors.Is(err, vault.ErrLocked) ||
		errors.Is(err, pgx.ErrTxClosed) || t.Conn().IsClosed()
}

// cannotOpen: the key does not come out. It may be another vault key's, or
// somebody altered the row. Members are told once; it is tried now and then.
func (t *tx) cannotOpen(ctx context.Context, a *Arrival, attempts int, why error) error {
	t.db.log.Error("an arrival does not open with this vault; it is kept", "arrival", string(a.ID), "error", why)
	_, err := t.Exec(ctx, `UPDATE arrival SET attempts = attempts + 1, retry_at = $2 WHERE id = $1`, a.ID, t.now.Add(retryMost))
	if err != nil {
		return fmt.Errorf("put an arrival off: %w", err)
	}
	if attempts > 0 {
		return nil
	}
	t.note("arrival.unopenable", string(a.ID), map[string]string{"why": why.Error()})
	return t.alertMembers(ctx, []disclosure.Alert{{Kind: disclosure.AlertAttention, Ref: "/health"}}, "")
}

func (t *tx) readHeader(a *Arrival, sealed []byte) error {
	b, err := vault.OpenArrivalHeader(a.key, a.meta, sealed)
	if err != nil {
		return fmt.Errorf("open the header: %w", err)
	}
	a.Header, err = disclosure.ParseArrivalHeader(b)
	return err
}

// findSender looks whose mailbox it names, and locks the case.
func (t *tx) findSender(ctx context.Context, a *Arrival) error {
	a.From, a.found, a.application = nil, nil, nil
	a.applies = a.Kind == disclosure.ArrivalApplication
	if a.Header.Mailbox == "" {
		return nil
	}
	for range 2 { // an application that becomes a case between the two questions is found the second time
		var id disclosure.CaseID
		var reporter disclosure.ReporterID
		err := t.QueryRow(ctx, `SELECT case_id, id FROM reporter WHERE mailbox = $1`, a.Header.Mailbox).Scan(&id, &reporter)
		if err == nil {
			return t.setSender(ctx, a, id, reporter)
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("look for a mailbox: %w", err)
		}
		var of disclosure.ApplicationID
		err = t.QueryRow(ctx, `SELECT id FROM application WHERE mailbox = $1`, a.Header.Mailbox).Scan(&of)
		if err == nil {
			return t.setApplicant(ctx, a, of)
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("look for a mailbox: %w", err)
		}
	}
	return nil
}

func (t *tx) setSender(ctx context.Context, a *Arrival, id disclosure.CaseID, reporter disclosure.ReporterID) error {
	c, err := t.lockCase(ctx, id)
	if err != nil {
		return err
	}
	a.found, a.From = c, c.Reporter(reporter)
	a.applies = false
	return nil
}

// setApplicant makes an arrival part of an application, which is locked; or of
// the case, where it was made one meanwhile.
func (t *tx) setApplicant(ctx context.Context, a *Arrival, id disclosure.ApplicationID) error {
	x, err := t.loadApplication(ctx, id, true)
	if err != nil {
		return err
	}
	if x.State == disclosure.ApplicationReport {
		return t.setSender(ctx, a, disclosure.CaseID(id), x.Applicant.ID)
	}
	a.application, a.From, a.applies = x, &x.Applicant, false
	return nil
}

// Applies makes what came an application and no report. Call it before
// AddFile, for what nobody known sent.
func (a *Arrival) Applies() error {
	if len(a.files) > 0 || a.newID != "" || a.From != nil || a.claim.Known {
		return errors.New("make an arrival an application: it belongs somewhere already")
	}
	a.applies = true
	return nil
}

// waitsForEarlier: a mailbox nobody knows may be that of a report which came
// before and is not opened yet. Then this one waits a little.
func (t *tx) waitsForEarlier(ctx context.Context, a *Arrival) (bool, error) {
	var earlier bool
	err := t.QueryRow(ctx, `SELECT EXISTS (SELECT FROM arrival WHERE opened IS NULL AND (received, id) < ($1, $2))`, a.Received, a.ID).Scan(&earlier)
	if err != nil || !earlier {
		return false, err
	}
	_, err = t.Exec(ctx, `UPDATE arrival SET attempts = attempts + 1, retry_at = $2 WHERE id = $1`, a.ID, t.now.Add(2*retryFirst))
	return true, err
}

// AddFile seals a file into the case the arrival belongs to, or will begin. It
// reads r to its end.
func (a *Arrival) AddFile(ctx context.Context, label, mediaType string, r io.Reader) (disclosure.File, error) {
	var f disclosure.File
	var err error
	var of owner
	switch {
	case a.claim.Release != "" && a.From == nil:
		of.Release = a.claim.Release
	case a.application != nil:
		of.Application = a.application.ID
	default:
		if of.Case, err = a.caseID(); err != nil {
			return f, err
		}
		if a.applies { // under the same key
			of = owner{Application: disclosure.ApplicationID(of.Case)}
		}
	}
	f, err = a.t.storeFile(ctx, of, label, mediaType, a.ID, r)
	if err == nil {
		a.files = append(a.files, f)
	}
	return f, err
}

// caseID is where the arrival goes; for a new case the key is made now.
func (a *Arrival) caseID() (disclosure.CaseID, error) {
	if a.found != nil {
		return a.found.ID, nil
	}
	if a.newID == "" {
		id := disclosure.CaseID(disclosure.NewID())
		wrapped, err := a.t.newCaseKey(id)
		if err != nil {
			return "", err
		}
		a.newID, a.wrapped = id, wrapped
	}
	return a.newID, nil
}

// Original writes the bytes of an arrival as they were received. It must have
// been opened. That it was read is logged.
func (db *DB) Original(ctx context.Context, by disclosure.Caller, id disclosure.ArrivalID, w io.Writer) error {
	if !mayOpen(by) {
		return disclosure.ErrForbidden
	}
	meta := vault.ArrivalMeta{Instance: db.instance, ID: string(id)}
	var key vault.Key
	err := db.transact(ctx, by, func(t *tx) error {
		var of owner
		var wrapped []byte
		err := t.QueryRow(ctx, `SELECT kind, channel, received, vault_key, coalesce(case_id, ''), coalesce(application, ''), wrapped_key FROM arrival
			WHERE id = $1 AND opened IS NOT NULL`, id).
			Scan(&meta.Kind, &meta.Channel, &meta.Received, &meta.VaultKey, &of.Case, &of.Application, &wrapped)
		if err != nil {
			return fmt.Errorf("find arrival %s: %w", id, notFound(err))
		}
		k, err := db.deskKey()
		if err != nil {
			return err
		}
		switch {
		case of.Case != "":
			if _, err := t.visibleCase(ctx, of.Case, false); err != nil {
				return err
			}
			k = t.keys[of.id()]
		case of.Application != "":
			if _, err := t.loadApplication(ctx, of.Application, false); err != nil {
				return err
			}
			k = t.keys[of.id()]
		case !by.Can(disclosure.Admin):
			return fmt.Errorf("find arrival %s: %w", id, disclosure.ErrNotFound)
		}
		if key, err = k.Unwrap(db.aad("arrival", "wrapped_key", string(id), of.id(), 1), wrapped); err != nil {
			return fmt.Errorf("unwrap the key of arrival %s: %w", id, err)
		}
		return t.opened(ctx, "original.read", string(id))
	})
	if err != nil {
		return err
	}
	body, err := newArrivalBody(ctx, db.pool, meta, key)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, body); err != nil {
		return fmt.Errorf("read arrival %s: %w", id, err)
	}
	return nil
}

// Body is read from its beginning or anywhere.
type Body interface {
	io.ReadSeeker
	io.ReaderAt
}

// arrivalBody is a body to be read and sought in; one chunk is in memory.
type arrivalBody struct {
	ctx    context.Context
	q      queryer
	meta   vault.ArrivalMeta
	key    vault.Key
	chunks int
	size   int64 // -1: not known before the last chunk is opened
	at     int64
	n      int // chunk in buf; -1: none
	buf    []byte
}

func newArrivalBody(ctx context.Context, q queryer, meta vault.ArrivalMeta, key vault.Key) (*arrivalBody, error) {
	b := &arrivalBody{ctx: ctx, q: q, meta: meta, key: key, size: -1, n: -1}
	if err := q.QueryRow(ctx, `SELECT count(*) FROM arrival_chunk WHERE arrival = $1`, meta.ID).Scan(&b.chunks); err != nil {
		return nil, fmt.Errorf("count the chunks of an arrival: %w", unavailable(err))
	}
	return b, nil
}

// Format keeps key and text out of fmt's output.
func (b *arrivalBody) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[arrival body]") }

// chunk opens chunk n. That it is the last one is not what the row says but
// what the store holds: with chunks cut off, the last one there does not open.
func (b *arrivalBody) chunk(n int) error {
	if b.n == n {
		return nil
	}
	var sealed []byte
	err := b.q.QueryRow(b.ctx, `SELECT sealed FROM arrival_chunk WHERE arrival = $1 AND n = $2`, b.meta.ID, n).Scan(&sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return vault.ErrOpen
	}
	if err != nil {
		return fmt.Errorf("read chunk %d of an arrival: %w", n, unavailable(err))
	}
	final := n == b.chunks-1
	buf, err := vault.OpenArrivalChunk(b.key, b.meta, n, final, sealed)
	if err != nil {
		return fmt.Errorf("open chunk %d of an arrival: %w", n, err)
	}
	if !final && len(buf) != vault.MaxArrivalChunk {
		return fmt.Errorf("open chunk %d of an arrival: %w", n, vault.ErrOpen)
	}
	b.n, b.buf = n, buf
	if final {
		b.size = int64(n)*vault.MaxArrivalChunk + int64(len(buf))
	}
	return nil
}

func (b *arrivalBody) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.size >= 0 && b.at >= b.size {
		return 0, io.EOF
	}
	n := int(b.at / vault.MaxArrivalChunk)
	if n >= b.chunks {
		if b.chunks == 0 {
			return 0, vault.ErrOpen // even an empty body has one
		}
		return 0, io.EOF
	}
	if err := b.chunk(n); err != nil {
		return 0, err
	}
	from := int(b.at - int64(n)*vault.MaxArrivalChunk)
	if from >= len(b.buf) {
		return 0, io.EOF
	}
	m := copy(p, b.buf[from:])
	b.at += int64(m)
	return m, nil
}

// ReadAt moves nothing.
func (b *arrivalBody) ReadAt(p []byte, at int64) (n int, err error) {
	was := b.at
	defer func() { b.at = was }()
	b.at = at
	for n < len(p) && err == nil {
		var k int
		k, err = b.Read(p[n:])
		n += k
	}
	return n, err
}

func (b *arrivalBody) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += b.at
	case io.SeekEnd:
		if b.size < 0 {
			if err := b.chunk(max(b.chunks-1, 0)); err != nil {
				return 0, err
			}
		}
		offset += b.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning of an arrival")
	}
	b.at = offset
	return offset, nil
}

// digestMAC is what is kept of a digest, to see that the same bytes came again.
func (db *DB) digestMAC(digest string) ([]byte, error) {
	b, err := hex.DecodeString(digest)
	if err != nil || len(b) == 0 {
		return nil, nil // none was given
	}
	desk, err := db.deskKey()
	if err != nil {
		return nil, err
	}
	return desk.Tag("arrival digest", b), nil
}

// cipherMACs is the same for what was encrypted in it.
func (db *DB) cipherMACs(digests [][]byte) ([][]byte, error) {
	if len(digests) == 0 {
		return nil, nil
	}
	desk, err := db.deskKey()
	if err != nil {
		return nil, err
	}
	var list [][]byte
	for _, d := range digests {
		list = append(list, desk.Tag("ciphertext digest", d))
	}
	return list, nil
}
