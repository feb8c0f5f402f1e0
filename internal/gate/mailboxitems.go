package gate

import (
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"time"

	"postern/internal/disclosure"
	"postern/internal/postgres/gatedb"
	"postern/internal/server"
	"postern/internal/vault"
	"postern/web/public"
	"postern/web/ui"
)

// lookWait is how long a look-up waits for its turn.
const lookWait = 10 * time.Second

// looking runs f when there is a turn for it: a few mailboxes are open at a time.
func (g *Gate) looking(ctx context.Context, f func() error) error {
	t := time.NewTimer(lookWait)
	defer t.Stop()
	if err := takeOne(ctx, g.looks, t.C, errBusy); err != nil {
		return err
	}
	defer func() { <-g.looks }()
	return f()
}

// items opens what lies in the mailbox, oldest first; the bytes of files lie
// elsewhere and are not read. What does not open is left out: it was not sealed
// to this code.
func (g *Gate) items(ctx context.Context, s *set, box *vault.Mailbox) (items []disclosure.MailboxItem, err error) {
	err = g.looking(ctx, func() error {
		rows, err := g.c.DB.MailboxRead(ctx, disclosure.MailboxID(box.ID()), "")
		for _, row := range rows {
			if it, err := readItem(s, box, row); err == nil {
				items = append(items, it)
			}
		}
		return err
	})
	return items, err
}

func readItem(s *set, box *vault.Mailbox, row gatedb.Item) (it disclosure.MailboxItem, err error) {
	b, err := openItem(s, box, row)
	if err != nil {
		return it, err
	}
	if err := json.Unmarshal(b, &it); err != nil {
		return it, err
	}
	it.ID = row.ID
	for i := range it.Files { // of an earlier version, with its bytes inside
		if f := &it.Files[i]; f.Bytes != nil {
			f.Size = int64(len(f.Bytes))
		}
	}
	return it, nil
}

func openItem(s *set, box *vault.Mailbox, row gatedb.Item) ([]byte, error) {
	return box.Open(disclosure.MailboxInfo(string(s.instance), disclosure.MailboxID(box.ID()), row.ID, row.Kind), row.Sealed)
}

// file opens one file of one reply; ErrNotFound when there is none, or no such
// mailbox.
func (g *Gate) file(ctx context.Context, s *set, box *vault.Mailbox, item string, n int) (f disclosure.MailboxFile, err error) {
	one := func(id string, kind disclosure.MailboxItemKind) (gatedb.Item, error) {
		if id == "" || len(id) > 64 {
			return gatedb.Item{}, disclosure.ErrNotFound
		}
		rows, err := g.c.DB.MailboxRead(ctx, disclosure.MailboxID(box.ID()), id)
		if err == nil && (len(rows) != 1 || rows[0].Kind != kind) {
			err = disclosure.ErrNotFound
		}
		if err != nil {
			return gatedb.Item{}, err
		}
		return rows[0], nil
	}
	err = g.looking(ctx, func() error {
		row, err := one(item, disclosure.ItemReply)
		if err != nil {
			return err
		}
		it, err := readItem(s, box, row)
		if err != nil || n < 0 || n >= len(it.Files) {
			return disclosure.ErrNotFound
		}
		if f = it.Files[n]; f.Item == "" {
			return nil
		}
		if row, err = one(f.Item, disclosure.ItemFile); err != nil {
			return err
		}
		f.Bytes, err = openItem(s, box, row)
		if err != nil {
			return disclosure.ErrNotFound
		}
		return nil
	})
	return f, err
}

// fill turns items into what the page shows. The last status counts.
func fill(v *public.MailboxView, items []disclosure.MailboxItem) {
	t := v.Words().Mailbox
	v.Found = len(items) > 0
	for _, it := range items {
		m := public.MailboxItem{ID: it.ID, At: it.At, Size: it.Size, Digest: it.SHA256, Files: len(it.Files)}
		for _, f := range it.Files {
			m.FileList = append(m.FileList, public.MailboxFile{Name: disclosure.CleanLabel(f.Name), Size: f.Size, Digest: f.SHA256})
		}
		switch it.Kind {
		case disclosure.ItemStatus:
			v.Status = disclosure.StatusWords(it.Status)
			if it.Text != "" {
				v.Status = it.Text
			}
			v.Planned, v.OwnKey, v.Withdrawn = it.Planned, it.OwnKey, it.Withdrawn
			v.Credit = disclosure.Credit{Wish: it.Credit, Text: it.CreditText}
		case disclosure.ItemReply:
			m.Ours, m.Text, m.Encrypted = true, it.Text, it.Encrypted
			v.Items = append(v.Items, m)
		case disclosure.ItemReceipt:
			m.Ours, m.Receipt, m.Text = true, true, it.Text
			v.Items = append(v.Items, m)
		case disclosure.ItemOwn:
			m.Asked = asked(t, it)
			v.Items = append(v.Items, m)
		}
	}
}

// asked says what an own message asked for.
func asked(t ui.MailboxTexts, it disclosure.MailboxItem) (list []string) {
	for _, what := range it.Asked {
		switch what {
		case disclosure.AnswerCredit:
			list = append(list, ui.Say(t.YoursCredit, public.CreditWords(t, disclosure.Credit{Wish: it.Credit, Text: it.CreditText})))
		case disclosure.AnswerKey:
			list = append(list, ui.Say(t.YoursKey, it.OwnKey))
		case disclosure.AnswerWithdraw:
			list = append(list, t.YoursWithdraw)
		}
	}
	return list
}

// sendFile answers with one file of a reply, for whoever holds the code. It is
// never shown: always an attachment of no particular type.
func (g *Gate) sendFile(w http.ResponseWriter, r *http.Request, s *set, box *vault.Mailbox, item string, n int) error {
	address, _ := r.Context().Value(addressKey{}).(string)
	place, err := g.downloads.take(r.Context(), address, nil)
	if err != nil {
		return err
	}
	defer place.release()
	f, err := g.file(r.Context(), s, box, item, n)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": disclosure.CleanLabel(f.Name)}))
	h.Set("Content-Length", strconv.Itoa(len(f.Bytes)))
	_, _ = w.Write(f.Bytes)
	return nil
}

// makeMailbox follows an invitation: the code is made now and shown once. The
// gate cannot tell whether the token is good; work attaches the mailbox to the
// lane it was made for, or to none.
func (g *Gate) makeMailbox(w http.ResponseWriter, r *http.Request, s *set, q *mailboxRequest) error {
	v := public.MailboxInviteView{Gate: g.frame(ui.NavMailbox), Token: q.values[public.FieldInvite], Idempotency: q.key()}
	if v.Token == "" || len(v.Token) > 100 {
		return disclosure.ErrNotFound
	}
	in, err := g.begin(r.Context(), s, disclosure.ArrivalMessage, disclosure.ByMailbox)
	if err != nil {
		return err
	}
	defer in.close()
	in.header.Answers = []disclosure.Answer{{Ask: disclosure.AnswerInvite, Text: v.Token}}
	got, err := in.store(r.Context(), v.Idempotency, nil, hexSum([]byte(v.Token)))
	if err != nil {
		g.c.Log.Warn("a mailbox was not made", "request", server.RequestID(r.Context()), "error", err)
		v.NotStored = true
		return server.Render(w, r, http.StatusServiceUnavailable, public.MailboxInvite(v))
	}
	v.Code = got.Code.Words()
	return server.Render(w, r, http.StatusCreated, public.MailboxInvite(v))
}
