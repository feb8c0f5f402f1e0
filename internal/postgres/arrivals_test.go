package postgres_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/internal/disclosure"
	"postern/internal/postgres"
	"postern/internal/postgres/postgrestest"
	"postern/internal/vault"
)

var ctx = context.Background()

var work = disclosure.System("work")

// mailbox opens what lies in a reporter's mailbox, through the gate.
func mailbox(t *testing.T, w *postgrestest.World, code vault.Code) []disclosure.MailboxItem {
	t.Helper()
	box := code.Mailbox(w.DB.Instance())
	items, err := w.Gate.MailboxRead(ctx, disclosure.MailboxID(box.ID()), "")
	if err != nil {
		t.Fatalf("read the mailbox: %v", err)
	}
	var list []disclosure.MailboxItem
	for _, i := range items {
		b, err := box.Open(disclosure.MailboxInfo(string(w.DB.Instance()), disclosure.MailboxID(box.ID()), i.ID, i.Kind), i.Sealed)
		if err != nil {
			t.Fatalf("open item %s: %v", i.ID, err)
		}
		var item disclosure.MailboxItem
		if err := json.Unmarshal(b, &item); err != nil {
			t.Fatalf("read item %s: %v", i.ID, err)
		}
		list = append(list, item)
	}
	return list
}

// fileBytes opens one file of a reply, through the gate.
func fileBytes(t *testing.T, w *postgrestest.World, code vault.Code, item string) string {
	t.Helper()
	box := code.Mailbox(w.DB.Instance())
	rows, err := w.Gate.MailboxRead(ctx, disclosure.MailboxID(box.ID()), item)
	if err != nil || len(rows) != 1 || rows[0].Kind != disclosure.ItemFile {
		t.Fatalf("read file %s of the mailbox: %d rows, %v", item, len(rows), err)
	}
	b, err := box.Open(disclosure.MailboxInfo(string(w.DB.Instance()), disclosure.MailboxID(box.ID()), item, disclosure.ItemFile), rows[0].Sealed)
	if err != nil {
		t.Fatalf("open file %s: %v", item, err)
	}
	return string(b)
}

func TestReportBecomesACase(t *testing.T) {
	w := postgrestest.New(t)
	code := vault.NewCode()
	box := code.Mailbox(w.DB.Instance())
	patch := bytes.Repeat([]byte("a patch "), 200_000) // 1.6 MB: two chunks of the arrival, many of the file
	id := w.Arrive(t, postgrestest.Sent{
		Header: disclosure.ArrivalHeader{Mailbox: disclosure.MailboxID(box.ID()), MailboxPublic: box.Public(), Name: "Robin",
			Address: "robin@example.org", Credit: disclosure.CreditYes, CreditText: "Robin R."},
		Parts: []postgrestest.Part{{Bytes: []byte("It leaks.\nHere is how.\n")}, {Kind: disclosure.PartFile, Name: "../fix.patch", Type: "text/x-diff", Bytes: patch}},
	})
	if n, oldest, err := w.DB.WaitingArrivals(ctx); n != 1 || oldest.IsZero() || err != nil {
		t.Fatalf("WaitingArrivals() = %d, %v, %v; want one", n, oldest, err)
	}
	if got := mailbox(t, w, code); len(got) != 0 {
		t.Fatalf("before it is opened the mailbox holds %v; want nothing", got)
	}
	found, err := w.DB.NextArrival(ctx, work, func(ctx context.Context, a *postgres.Arrival) (postgres.Opened, error) {
		if a.From != nil || a.Header.Name != "Robin" || len(a.Header.Parts) != 2 {
			t.Errorf("the callback got From %v, header %+v", a.From, a.Header)
		}
		text := make([]byte, a.Header.Parts[0].Size)
		if _, err := io.ReadFull(a.Body, text); err != nil {
			return postgres.Opened{}, err
		}
		_, err := a.AddFile(ctx, a.Header.Parts[1].Name, a.Header.Parts[1].Type, a.Body)
		return postgres.Opened{Text: string(text), Protection: disclosure.Protection{Encryption: disclosure.OnArrival, Signature: disclosure.Unsigned}}, err
	})
	if !found || err != nil {
		t.Fatalf("NextArrival() = %v, %v", found, err)
	}
	if again, err := w.DB.NextArrival(ctx, work, postgrestest.PlainText); again || err != nil {
		t.Fatalf("NextArrival() again = %v, %v; want none", again, err)
	}
	c, err := w.DB.Case(ctx, w.Tri, w.CaseOf(t, id))
	if err != nil {
		t.Fatal(err)
	}
	if c.Title != "It leaks." || c.State != disclosure.Received || c.Number != 1 || c.Channel != disclosure.ByForm || len(c.Reporters) != 1 || len(c.Files) != 1 {
		t.Fatalf("the case is %+v", c)
	}
	r := c.Reporters[0]
	if r.Name != "Robin" || r.Mailbox != disclosure.MailboxID(box.ID()) || r.Credit.Wish != disclosure.CreditYes || r.Arrival != id {
		t.Errorf("the reporter is %+v", r)
	}
	if f := c.Files[0]; f.Label != "fix.patch" || f.Size != int64(len(patch)) {
		t.Errorf("the file is %+v", f)
	}
	thread, err := w.DB.Thread(ctx, w.Tri, c.ID)
	if err != nil || len(thread) != 1 {
		t.Fatalf("Thread() = %v, %v; want one message", thread, err)
	}
	if m := thread[0]; m.Text != "It leaks.\nHere is how.\n" || m.State != disclosure.MessageIn || m.Arrival != id || m.Lane.ID != string(r.ID) || len(m.Files) != 1 {
		t.Errorf("the message is %+v", m)
	}
	var file, original bytes.Buffer
	if err := w.DB.OpenFile(ctx, w.Tri, c.Files[0].ID, func(disclosure.File) (io.Writer, error) { return &file, nil }); err != nil || !bytes.Equal(file.Bytes(), patch) {
		t.Errorf("OpenFile() gave %d bytes, %v; want the patch", file.Len(), err)
	}
	if err := w.DB.Original(ctx, w.Tri, id, &original); err != nil || original.String() != "It leaks.\nHere is how.\n"+string(patch) {
		t.Errorf("Original() gave %d bytes, %v; want the bytes as received", original.Len(), err)
	}
	items := mailbox(t, w, code)
	if len(items) != 2 {
		t.Fatalf("the mailbox holds %d items, want a status and the own message", len(items))
	}
	for _, i := range items {
		if i.Kind == disclosure.ItemOwn && (i.Size != c.Reporters[0].Received.Unix()*0+int64(len(patch))+23 || i.SHA256 == "") {
			t.Errorf("the own item is %+v", i)
		}
		if i.Kind == disclosure.ItemStatus && i.Status != disclosure.Received {
			t.Errorf("the status is %+v", i)
		}
	}
	if n, _, _ := w.DB.WaitingArrivals(ctx); n != 0 {
		t.Errorf("%d arrivals wait, want none", n)
	}
	alerts, err := w.DB.DueAlerts(ctx, 10)
	if err != nil || len(alerts) != 3 { // Ada, Tri, Rel; not the auditor
		t.Fatalf("DueAlerts() = %d, %v; want three", len(alerts), err)
	}
	for _, a := range alerts {
		if a.Kind != disclosure.AlertReport || a.Ref != "/cases/1" {
			t.Errorf("alert %+v", a)
		}
	}
}

func TestMessageJoinsItsCase(t *testing.T) {
	w := postgrestest.New(t)
	code := vault.NewCode()
	box := code.Mailbox(w.DB.Instance())
	header := disclosure.ArrivalHeader{Mailbox: disclosure.MailboxID(box.ID()), MailboxPublic: box.Public()}
	at := w.DB.Now()
	report := w.Arrive(t, postgrestest.Sent{Header: header, At: at})
	more := w.Arrive(t, postgrestest.Sent{Kind: disclosure.ArrivalMessage, Channel: disclosure.ByMailbox, Header: header, At: at.Add(time.Second),
		Parts: []postgrestest.Part{{Bytes: []byte("One more thing.")}}})

	// Another worker still holds the report: the message waits for it.
	hold, release := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		_, err := w.DB.NextArrival(ctx, work, func(ctx context.Context, a *postgres.Arrival) (postgres.Opened, error) {
			close(hold)
			<-release
			return postgrestest.PlainText(ctx, a)
		})
		done <- err
	}()
	<-hold
	if _, err := w.DB.NextArrival(ctx, work, func(context.Context, *postgres.Arrival) (postgres.Opened, error) {
		t.Error("the message was opened before its report")
		return postgres.Opened{}, nil
	}); err != nil {
		t.Fatal(err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	w.Advance(t, time.Minute)
	w.OpenAll(t)
	if a, b := w.CaseOf(t, report), w.CaseOf(t, more); a != b {
		t.Fatalf("the report is in %s, the message in %s; want one case", a, b)
	}
	thread, err := w.DB.Thread(ctx, w.Tri, w.CaseOf(t, more))
	if err != nil || len(thread) != 2 || thread[1].Text != "One more thing." || thread[0].Lane != thread[1].Lane {
		t.Fatalf("Thread() = %+v, %v; want two in one lane", thread, err)
	}
}

func TestAMailboxNobodyKnowsBeginsACase(t *testing.T) {
	w := postgrestest.New(t)
	box := vault.NewCode().Mailbox(w.DB.Instance())
	id := w.Arrive(t, postgrestest.Sent{Kind: disclosure.ArrivalMessage, Channel: disclosure.ByMailbox,
		Header: disclosure.ArrivalHeader{Mailbox: disclosure.MailboxID(box.ID()), MailboxPublic: box.Public()}})
	w.OpenAll(t)
	if c, err := w.DB.Case(ctx, w.Tri, w.CaseOf(t, id)); err != nil || c.Reporters[0].Mailbox == "" {
		t.Errorf("Case() = %+v, %v; want a case whose reporter can be answered", c, err)
	}
}

func TestWhatCannotBeReadNeedsAttention(t *testing.T) {
	tests := map[string]func(context.Context, *postgres.Arrival) (postgres.Opened, error){
		"error": func(context.Context, *postgres.Arrival) (postgres.Opened, error) {
			return postgres.Opened{}, errors.New("no idea")
		},
		"panic": func(context.Context, *postgres.Arrival) (postgres.Opened, error) { panic("oh") },
		"error after a file": func(ctx context.Context, a *postgres.Arrival) (postgres.Opened, error) {
			if _, err := a.AddFile(ctx, "half", "", strings.NewReader("half")); err != nil {
				return postgres.Opened{}, err
			}
			return postgres.Opened{}, errors.New("then nothing")
		},
	}
	for name, open := range tests {
		t.Run(name, func(t *testing.T) {
			w := postgrestest.New(t)
			code := vault.NewCode()
			box := code.Mailbox(w.DB.Instance())
			id := w.Arrive(t, postgrestest.Sent{Header: disclosure.ArrivalHeader{Mailbox: disclosure.MailboxID(box.ID()), MailboxPublic: box.Public()}})
			if found, err := w.DB.NextArrival(ctx, work, open); !found || err != nil {
				t.Fatalf("NextArrival() = %v, %v", found, err)
			}
			c, err := w.DB.Case(ctx, w.Tri, w.CaseOf(t, id))
			if err != nil || c.Attention == "" || len(c.Files) != 0 {
				t.Fatalf("Case() = %+v, %v; want one that needs attention, without files", c, err)
			}
			var b bytes.Buffer
			if err := w.DB.Original(ctx, w.Tri, id, &b); err != nil || b.String() != "The lantern leaks.\n" {
				t.Errorf("Original() = %q, %v", b.String(), err)
			}
			if len(mailbox(t, w, code)) == 0 {
				t.Error("the reporter's mailbox is empty")
			}
		})
	}
}

func TestDamagedArrivals(t *testing.T) {
	w := postgrestest.New(t)
	owner := ownerConn(t, w)
	cut := w.Arrive(t, postgrestest.Sent{Parts: []postgrestest.Part{{Bytes: bytes.Repeat([]byte("x"), vault.MaxArrivalChunk+10)}}})
	exec(t, owner, `DELETE FROM arrival_chunk WHERE arrival = $1 AND n = 1`, string(cut))
	header := w.Arrive(t, postgrestest.Sent{At: w.DB.Now().Add(time.Second)})
	exec(t, owner, `UPDATE arrival SET header = set_byte(header, 20, get_byte(header, 20) # 1) WHERE id = $1`, string(header))
	key := w.Arrive(t, postgrestest.Sent{At: w.DB.Now().Add(2 * time.Second)})
	exec(t, owner, `UPDATE arrival SET encapsulation = set_byte(encapsulation, 1150, get_byte(encapsulation, 1150) # 1) WHERE id = $1`, string(key))
	whole := w.Arrive(t, postgrestest.Sent{At: w.DB.Now().Add(3 * time.Second)})
	w.OpenAll(t)
	for name, id := range map[string]disclosure.ArrivalID{"cut off": cut, "altered header": header} {
		if c, err := w.DB.Case(ctx, w.Tri, w.CaseOf(t, id)); err != nil || c.Attention == "" {
			t.Errorf("%s: Case() = %+v, %v; want one that needs attention", name, c, err)
		}
	}
	if c, err := w.DB.Case(ctx, w.Tri, w.CaseOf(t, whole)); err != nil || c.Attention != "" {
		t.Errorf("the whole one: Case() = %+v, %v; want nothing the matter", c, err)
	}
	if n, _, err := w.DB.WaitingArrivals(ctx); n != 1 || err != nil {
		t.Errorf("WaitingArrivals() = %d, %v; want the one whose key does not open", n, err)
	}
}

func TestArrivalsAreOpenedOnce(t *testing.T) {
	w := postgrestest.New(t)
	const many = 40
	for i := range many {
		w.Arrive(t, postgrestest.Sent{Header: disclosure.ArrivalHeader{Title: fmt.Sprint("report ", i)}})
	}
	var mu sync.Mutex
	opened := map[disclosure.ArrivalID]int{}
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			for {
				found, err := w.DB.NextArrival(ctx, work, func(ctx context.Context, a *postgres.Arrival) (postgres.Opened, error) {
					mu.Lock()
					opened[a.ID]++
					mu.Unlock()
					return postgrestest.PlainText(ctx, a)
				})
				if err != nil {
					t.Errorf("NextArrival() = %v", err)
					return
				}
				if !found {
					return
				}
			}
		})
	}
	all.Wait()
	page, err := w.DB.Inbox(ctx, w.Tri, postgres.InboxQuery{Limit: 200})
	if err != nil || len(page.Rows) != many || len(opened) != many {
		t.Fatalf("%d cases of %d arrivals, %v; want %d", len(page.Rows), len(opened), err, many)
	}
	titles := map[string]bool{}
	for _, r := range page.Rows {
		titles[r.Title] = true
	}
	if len(titles) != many {
		t.Errorf("%d different titles, want %d", len(titles), many)
	}
}

func TestInterruptedArrivalWaits(t *testing.T) {
	w := postgrestest.New(t)
	id := w.Arrive(t, postgrestest.Sent{})
	short, cancel := context.WithCancel(ctx)
	_, err := w.DB.NextArrival(short, work, func(ctx context.Context, a *postgres.Arrival) (postgres.Opened, error) {
		cancel()
		return postgrestest.PlainText(ctx, a)
	})
	if err == nil {
		t.Fatal("NextArrival() with its context ended = nil, want an error")
	}
	if n, _, err := w.DB.WaitingArrivals(ctx); n != 1 || err != nil {
		t.Fatalf("WaitingArrivals() = %d, %v; want it to wait still", n, err)
	}
	page, err := w.DB.Inbox(ctx, w.Tri, postgres.InboxQuery{})
	if err != nil || len(page.Rows) != 0 || page.Tallies[disclosure.Received] != 0 {
		t.Fatalf("Inbox() = %+v, %v; want nothing", page, err)
	}
	w.OpenAll(t)
	w.CaseOf(t, id)
}

func TestLockedOpensNothing(t *testing.T) {
	w := postgrestest.New(t)
	w.Arrive(t, postgrestest.Sent{})
	w.DB.Vault().Lock()
	if found, err := w.DB.NextArrival(ctx, work, postgrestest.PlainText); found || !errors.Is(err, vault.ErrLocked) {
		t.Errorf("NextArrival() while locked = %v, %v; want vault.ErrLocked", found, err)
	}
	if n, _, err := w.DB.WaitingArrivals(ctx); n != 1 || err != nil {
		t.Errorf("WaitingArrivals() while locked = %d, %v; want 1", n, err)
	}
	if err := w.DB.AlertLocked(ctx); err != nil {
		t.Fatal(err)
	}
	alerts, err := w.DB.DueAlerts(ctx, 10)
	if err != nil || len(alerts) != 4 || alerts[0].Kind != disclosure.AlertLocked || alerts[0].Number != 1 {
		t.Errorf("DueAlerts() while locked = %+v, %v; want four about one report", alerts, err)
	}
	if err := w.DB.AlertLocked(ctx); err != nil {
		t.Fatal(err)
	}
	if again, _ := w.DB.DueAlerts(ctx, 10); len(again) != 0 {
		t.Errorf("told %d times more at once, want none", len(again))
	}
	if since, err := w.DB.LockedSince(ctx); since.IsZero() || err != nil {
		t.Errorf("LockedSince() = %v, %v", since, err)
	}
}

func TestSameBytesAreSeen(t *testing.T) {
	w := postgrestest.New(t)
	w.Arrive(t, postgrestest.Sent{})
	w.OpenAll(t)
	second := w.Arrive(t, postgrestest.Sent{})
	w.OpenAll(t)
	events, err := w.DB.Timeline(ctx, w.Tri, w.CaseOf(t, second))
	if err != nil || !slices.ContainsFunc(events, func(e disclosure.Event) bool { return e.Text == "The same bytes came before, in #1." }) {
		t.Errorf("Timeline() = %+v, %v; want a word on #1", events, err)
	}
}

func TestStrayBouncesAndAddresses(t *testing.T) {
	w := postgrestest.New(t)
	stray := w.Arrive(t, postgrestest.Sent{Kind: disclosure.ArrivalMail, Channel: disclosure.ByMail})
	if _, err := w.DB.NextArrival(ctx, work, func(ctx context.Context, a *postgres.Arrival) (postgres.Opened, error) {
		if _, err := a.AddFile(ctx, "key.asc", "", strings.NewReader("key")); err != nil {
			return postgres.Opened{}, err
		}
		return postgres.Opened{Bounce: &postgres.Bounce{Delivery: "nobody knows it", Failed: true, Text: "550 no such user"}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	if b, err := w.DB.Case(ctx, w.Tri, w.CaseOf(t, stray)); err != nil || !strings.Contains(b.Attention, "came back") || len(b.Files) != 1 {
		t.Errorf("Case() of a bounce of nothing known = %+v, %v; want it to be seen", b, err)
	}
	odd := w.Arrive(t, postgrestest.Sent{Header: disclosure.ArrivalHeader{Name: "N\x00", Address: "not an address", Title: strings.Repeat("ü", 400)}})
	w.OpenAll(t)
	c, err := w.DB.Case(ctx, w.Tri, w.CaseOf(t, odd))
	if err != nil || c.Reporters[0].Address != "" || !strings.Contains(c.Attention, "not an address") {
		t.Errorf("Case() = %+v, %v; want the odd address kept as text", c, err)
	}
	if diff := cmp.Diff(1, len(c.Reporters)); diff != "" {
		t.Error(diff)
	}
}

func TestNothingIsAcknowledgedWhileHeld(t *testing.T) {
	w := postgrestest.New(t)
	if err := w.DB.Hold(ctx, w.Ada, "A test."); err != nil {
		t.Fatal(err)
	}
	if ok, err := w.DB.MayAcknowledge(ctx, work, "robin@example.org"); ok || !errors.Is(err, disclosure.ErrHeld) {
		t.Errorf("MayAcknowledge() while held = %v, %v; want ErrHeld", ok, err)
	}
	if err := w.DB.LetGo(ctx, w.Rel); err != nil {
		t.Fatal(err)
	}
	if ok, err := w.DB.MayAcknowledge(ctx, work, "robin@example.org"); !ok || err != nil {
		t.Errorf("MayAcknowledge() after letting go = %v, %v; want true", ok, err)
	}
}

// TestAcknowledgedWithinBounds: spellings of one mailbox are one address, and
// made-up addresses of one domain get no more than its share.
func TestAcknowledgedWithinBounds(t *testing.T) {
	w := postgrestest.New(t)
	may := func(address string) bool {
		t.Helper()
		ok, err := w.DB.MayAcknowledge(ctx, work, address)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if !may("victim+0@example.net") || may("victim+1@example.net") || may("victim@EXAMPLE.net") {
		t.Error("spellings with a plus were not taken for one address")
	}
	sent := 0
	for i := range 80 {
		if may(fmt.Sprintf("made-up-%d@example.net", i)) {
			sent++
		}
	}
	if sent != 49 {
		t.Errorf("%d further acknowledgments to one domain in a day, want 49 (50 with the first)", sent)
	}
	if !may("robin@example.org") {
		t.Error("another domain gets none because of the first")
	}
}

func TestAcknowledgedOnceADay(t *testing.T) {
	w := postgrestest.New(t)
	may := func() bool {
		ok, err := w.DB.MayAcknowledge(ctx, work, "Robin@Example.org ")
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if got := []bool{may(), may()}; !slices.Equal(got, []bool{true, false}) {
		t.Errorf("MayAcknowledge() twice = %v, want once", got)
	}
	w.Advance(t, 24*time.Hour)
	if !may() {
		t.Error("MayAcknowledge() the next day = false")
	}
}
