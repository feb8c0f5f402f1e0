package desk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"strconv"
	"strings"

	"postern/internal/disclosure"
	"postern/internal/postgres"
	"postern/internal/server"
	pages "postern/web/desk"
)

// maxUpload bounds the files of one note or reply.
const maxUpload = 64 << 20

func (d *Desk) caseRoutes() {
	at := pages.PathCasePattern
	d.page(at, team, d.caseRead)
	d.page(at+"/fragment/conversation", team, d.caseConversation)
	for do, step := range d.caseSteps() {
		d.form(at+"/"+do, disclosure.Triager|disclosure.Releaser, 0, d.caseStep(do, step))
	}
	d.form(at+"/"+pages.CaseNote, team, maxUpload, d.note)
	d.form(at+"/"+pages.CaseReply, disclosure.Triager, maxUpload, d.reply)
	d.form(at+"/"+pages.CaseInvite, disclosure.Triager, 0, d.inviteReporter)
	d.form(at+"/"+pages.CaseMerge, disclosure.Triager, 0, d.merge)
	d.form(at+"/"+pages.CaseSplit, disclosure.Triager, 0, d.split)
	d.form(at+"/"+pages.CaseTakeBack, disclosure.Triager, 0, d.takeBack)
	d.form(at+"/"+pages.CaseTryAgain, disclosure.Triager, 0, d.tryAgain)
	d.form(at+"/"+pages.CaseSupply, disclosure.Triager, 0, d.supply)
	d.form(at+"/"+pages.CaseOpenWith, disclosure.Triager, 0, d.openWith)
}

// theCase finds the case of the path, for this caller.
func (d *Desk) theCase(v *visit) (*disclosure.Case, error) {
	n, err := strconv.Atoi(v.PathValue("n"))
	if err != nil || n < 1 || n > 1<<31-1 {
		return nil, disclosure.ErrNotFound
	}
	return d.c.DB.CaseByNumber(v.Context(), v.by, n)
}

func (d *Desk) caseRead(v *visit) error {
	c, err := d.theCase(v)
	if err != nil {
		return err
	}
	view, err := d.caseView(v, c)
	if err == nil {
		err = d.related(v, c, &view)
	}
	if err != nil {
		return err
	}
	return v.render(pages.Case(view))
}

func (d *Desk) caseConversation(v *visit) error {
	c, err := d.theCase(v)
	if err != nil {
		return err
	}
	view, err := d.caseView(v, c)
	if err != nil {
		return err
	}
	return server.Fragment(v.w, v.Request, pages.CaseConversation(view))
}

// caseChange is one change a form of the case page asks for.
type caseChange struct {
	done   string // key of flashes
	change func(v *visit, c *disclosure.Case) error
	// look makes change where that needs something of the database: the case is
	// not locked then, and no second connection is waited for under its lock.
	look func(v *visit) (func(v *visit, c *disclosure.Case) error, error)
}

// caseSteps is every form that changes the case itself, and what it calls. A
// change is made to the case as it stands in the database, under its lock, and
// only if it is still the version that was shown.
func (d *Desk) caseSteps() map[string]caseChange {
	now := d.c.DB.Now
	get := func(v *visit, name string) string { return v.PostFormValue(name) }
	return map[string]caseChange{
		pages.CaseAcknowledge: {done: "acknowledged", change: func(v *visit, c *disclosure.Case) error { return c.Acknowledge(v.by, now()) }},
		pages.CaseAssign:      {done: "assigned", look: d.assign},
		pages.CaseMove: {done: "moved", change: func(v *visit, c *disclosure.Case) error {
			return c.Move(disclosure.CaseState(get(v, pages.FieldTo)), v.by, now())
		}},
		pages.CaseReopen: {done: "reopened", change: func(v *visit, c *disclosure.Case) error { return c.Reopen(v.by, now()) }},
		pages.CaseClose:  {done: "closed", look: d.closeCase},
		pages.CaseTitle: {done: "saved", change: func(v *visit, c *disclosure.Case) error {
			return c.SetTitle(get(v, pages.FieldTitle), v.by, now())
		}},
		pages.CaseSeverity: {done: "saved", change: func(v *visit, c *disclosure.Case) error {
			return c.SetSeverity(disclosure.Severity{Level: get(v, pages.FieldLevel), Vector: get(v, pages.FieldVector),
				Reason: get(v, pages.FieldSeverity)}, v.by, now())
		}},
		pages.CaseAffected: {done: "saved", change: func(v *visit, c *disclosure.Case) error {
			return c.SetAffected(affectedOf(v), v.by, now())
		}},
		pages.CaseCredit: {done: "saved", change: func(v *visit, c *disclosure.Case) error {
			return c.SetCredit(disclosure.ReporterID(get(v, pages.FieldReporter)), disclosure.CreditWish(get(v, pages.FieldCredit)),
				get(v, pages.FieldCreditAs), v.by, now())
		}},
		pages.CaseKey: {done: "saved", change: d.reporterKey},
		pages.CaseCVE: {done: "saved", change: func(v *visit, c *disclosure.Case) error {
			if err := c.SetClass(get(v, pages.FieldClass), v.by, now()); err != nil {
				return err
			}
			return c.SetCVE(get(v, pages.FieldCVE), v.by, now())
		}},
		pages.CaseText: {done: "saved", change: func(v *visit, c *disclosure.Case) error { return c.SetPublic(publicOf(v), v.by, now()) }},
		pages.CaseTrack: {done: "saved", change: func(v *visit, c *disclosure.Case) error {
			return c.SetTrack(disclosure.Track(get(v, pages.FieldTrack)), v.by, now())
		}},
		pages.CaseRestrict: {done: "saved", change: func(v *visit, c *disclosure.Case) error {
			if get(v, pages.FieldRestricted) != "yes" {
				return c.Unrestrict(v.by, now())
			}
			var allowed []disclosure.MemberID
			for _, id := range v.PostForm[pages.FieldAllowed] {
				allowed = append(allowed, disclosure.MemberID(id))
			}
			return c.Restrict(allowed, v.by, now())
		}},
	}
}

// caseStep runs a change; a refusal shows the page again with what was typed.
func (d *Desk) caseStep(do string, step caseChange) handler {
	return func(v *visit) error {
		if err := v.ParseForm(); err != nil {
			return err
		}
		c, err := d.theCase(v)
		if err != nil {
			return err
		}
		change := step.change
		if step.look != nil {
			change, err = step.look(v)
		}
		if err == nil {
			err = d.c.DB.UpdateCase(v.Context(), v.by, c.ID, func(c *disclosure.Case) error {
				if !single(do) {
					if err := sameVersion(v, c.Version); err != nil {
						return err
					}
				}
				return change(v, c)
			})
		}
		if err == nil {
			d.c.Wake()
			if do == pages.CaseClose {
				to, done := d.afterClosing(v, c), step.done
				if strings.Contains(to, "letter=") {
					done = "closed-tell"
				}
				return v.flash(to, done)
			}
			return v.flash(pages.CasePath(c.Number), step.done)
		}
		return d.caseAgain(v, c, err, func(view *pages.CaseView) { echo(v, do, view) })
	}
}

// single forms say one thing that does not depend on what else the page showed.
func single(do string) bool { return do == pages.CaseAcknowledge || do == pages.CaseAssign }

// caseAgain shows the case with what is wrong; other errors are passed on.
func (d *Desk) caseAgain(v *visit, c *disclosure.Case, err error, keep func(*pages.CaseView)) error {
	list, err := faults(err)
	if err != nil {
		return err
	}
	view, err := d.caseView(v, c)
	if err != nil {
		return err
	}
	if err := d.related(v, c, &view); err != nil {
		return err
	}
	view.Faults = list
	keep(&view)
	return v.again(pages.Case(view))
}

// echo puts what was typed back into the view, for the forms with text.
func echo(v *visit, do string, view *pages.CaseView) {
	c := *view.Case
	switch do {
	case pages.CaseTitle:
		c.Title = v.PostFormValue(pages.FieldTitle)
	case pages.CaseText:
		c.Public = publicOf(v)
	case pages.CaseSeverity:
		c.Severity = disclosure.Severity{Level: v.PostFormValue(pages.FieldLevel), Vector: v.PostFormValue(pages.FieldVector), Reason: v.PostFormValue(pages.FieldSeverity)}
	case pages.CaseAffected:
		c.Affected = affectedOf(v)
	case pages.CaseCVE:
		c.CVE, c.Class = v.PostFormValue(pages.FieldCVE), v.PostFormValue(pages.FieldClass)
	case pages.CaseClose:
		c.VerdictNote = v.PostFormValue(pages.FieldWhy)
	}
	view.Case = &c
}

func (d *Desk) assign(v *visit) (func(*visit, *disclosure.Case) error, error) {
	to := func(id disclosure.MemberID, name string) (func(*visit, *disclosure.Case) error, error) {
		return func(v *visit, c *disclosure.Case) error { return c.Assign(id, name, v.by, d.c.DB.Now()) }, nil
	}
	id := disclosure.MemberID(v.PostFormValue(pages.FieldOwner))
	if id == "" {
		return to("", "")
	}
	options, err := d.memberOptions(v)
	if err != nil {
		return nil, err
	}
	for _, o := range options {
		if o.Value == string(id) {
			return to(id, o.Label)
		}
	}
	return nil, disclosure.Refuse(pages.FieldOwner, "Choose one of the members.")
}

func (d *Desk) closeCase(v *visit) (func(*visit, *disclosure.Case) error, error) {
	var of disclosure.CaseID
	if number := strings.TrimPrefix(strings.TrimSpace(v.PostFormValue(pages.FieldOf)), "#"); number != "" {
		n, err := strconv.Atoi(number)
		if err != nil {
			return nil, disclosure.Refuse(pages.FieldOf, "Write the number of the other case, like 42.")
		}
		other, err := d.c.DB.CaseByNumber(v.Context(), v.by, n)
		if err != nil {
			return nil, disclosure.Refuse(pages.FieldOf, "There is no case #"+strconv.Itoa(n)+".")
		}
		of = other.ID
	}
	return func(v *visit, c *disclosure.Case) error {
		if err := c.Cite(v.PostFormValue(pages.FieldCited), v.by); err != nil {
			return err
		}
		return c.Close(disclosure.Verdict(v.PostFormValue(pages.FieldVerdict)), v.PostFormValue(pages.FieldWhy), of, v.by, d.c.DB.Now())
	}, nil
}

func affectedOf(v *visit) []disclosure.Affected {
	var list []disclosure.Affected
	for i := range 200 {
		series := strings.TrimSpace(v.PostFormValue(pages.Indexed(pages.FieldSeries, i)))
		if series == "" {
			continue
		}
		list = append(list, disclosure.Affected{Series: series, Effect: disclosure.Effect(v.PostFormValue(pages.Indexed(pages.FieldEffect, i))),
			Versions: v.PostFormValue(pages.Indexed(pages.FieldVersions, i))})
	}
	return list
}

func publicOf(v *visit) disclosure.Text {
	get := func(name string) string { return strings.ReplaceAll(v.PostFormValue(name), "\r\n", "\n") }
	t := disclosure.Text{Title: get(pages.FieldPublicTitle), Summary: get(pages.FieldSummary), Description: get(pages.FieldDescription),
		Impact: get(pages.FieldImpact), Remedy: get(pages.FieldRemedy), Workaround: get(pages.FieldWorkaround)}
	for _, line := range strings.Split(get(pages.FieldReferences), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			t.References = append(t.References, line)
		}
	}
	return t
}

// written is a note or a reply with its files, already stored.
type written struct {
	text, lane, laneID, letter string
	clear                      bool
	files                      []disclosure.FileID
	once                       string   // of the form as it was shown
	sums                       []string // of the files
}

// id is the message's: the same for the same words from the same showing of a
// form, so that a form sent twice writes once, and other words are never taken
// for a repetition.
func (in *written) id(v *visit, c disclosure.CaseID) disclosure.MessageID {
	if len(in.once) < 16 {
		return disclosure.MessageID(disclosure.NewID())
	}
	b, _ := json.Marshal([]any{in.once, c, v.by.Member, in.lane, in.laneID, in.letter, in.clear, in.text, in.sums}) // strings always marshal
	sum := sha256.Sum256(b)
	return disclosure.MessageID(hex.EncodeToString(sum[:16]))
}

// readWritten reads the form as it streams in: files go straight into sealed
// chunks of the case.
func (d *Desk) readWritten(v *visit, c disclosure.CaseID) (written, error) {
	var in written
	kind, _, _ := mime.ParseMediaType(v.Header.Get("Content-Type"))
	if kind != "multipart/form-data" {
		if err := v.ParseForm(); err != nil {
			return in, err
		}
		for _, name := range []string{pages.FieldText, pages.FieldLane, pages.FieldLaneID, pages.FieldClear, pages.FieldLetter, pages.FieldOnce} {
			in.set(name, v.PostFormValue(name))
		}
		return in, nil
	}
	parts, err := v.MultipartReader()
	if err != nil {
		return in, disclosure.Refuse("", "The form could not be read. Send it again.")
	}
	for range 100 {
		p, err := parts.NextPart()
		if err == io.EOF {
			return in, nil
		}
		if err != nil {
			return in, err
		}
		if p.FileName() == "" {
			b, err := io.ReadAll(io.LimitReader(p, postgres.MaxMessage+1))
			if err != nil {
				return in, err
			}
			in.set(p.FormName(), server.Text(string(b)))
			continue
		}
		f, err := d.storePart(v.Context(), v.by, c, p)
		if err != nil {
			return in, err
		}
		in.files, in.sums = append(in.files, f.ID), append(in.sums, f.Label, f.SHA256)
	}
	return in, disclosure.Refuse(pages.FieldFiles, "At most 100 files at once.")
}

func (in *written) set(name, value string) {
	switch name {
	case pages.FieldText:
		in.text = strings.ReplaceAll(value, "\r\n", "\n")
	case pages.FieldLane:
		in.lane = value
	case pages.FieldLaneID:
		in.laneID = value
	case pages.FieldLetter:
		in.letter = value
	case pages.FieldOnce:
		in.once = value
	case pages.FieldClear:
		in.clear = value == "yes"
	}
}

func (d *Desk) storePart(ctx context.Context, by disclosure.Caller, c disclosure.CaseID, p *multipart.Part) (disclosure.File, error) {
	return d.c.DB.StoreFile(ctx, by, c, "", p.FileName(), p.Header.Get("Content-Type"), p)
}

func (d *Desk) note(v *visit) error {
	c, err := d.theCase(v)
	if err != nil {
		return err
	}
	in, err := d.readWritten(v, c.ID)
	if err != nil {
		return err
	}
	err = d.c.DB.AddNote(v.Context(), v.by, c.ID, in.id(v, c.ID), in.text, in.files)
	if err == nil {
		return v.flash(pages.CasePath(c.Number), "noted")
	}
	return d.caseAgain(v, c, inForm(err, "note"), func(view *pages.CaseView) { keepDraft(view, disclosure.Lane{Kind: disclosure.LaneTeam}, in.text) })
}

func (d *Desk) reply(v *visit) error {
	c, err := d.theCase(v)
	if err != nil {
		return err
	}
	in, err := d.readWritten(v, c.ID)
	if err != nil {
		return err
	}
	lane := disclosure.Lane{Kind: disclosure.LaneKind(in.lane), ID: in.laneID}
	err = d.c.DB.Reply(v.Context(), v.by, postgres.ReplyDraft{ID: in.id(v, c.ID), Case: c.ID, Lane: lane,
		Text: in.text, Files: in.files, Clear: in.clear, Letter: in.letter, Safe: d.wordForWord(v, c, in)})
	if err == nil {
		d.c.Wake()
		return v.flash(pages.CaseLane(c.Number, lane), "replying")
	}
	return d.caseAgain(v, c, inForm(err, "reply-"+in.laneID), func(view *pages.CaseView) { view.Lane = lane; keepDraft(view, lane, in.text) })
}

// inForm makes the faults of a refusal point at the controls of one form.
func inForm(err error, form string) error {
	list, other := faults(err)
	if other != nil {
		return other
	}
	var r *disclosure.Refusal
	for _, f := range list {
		if f.Field != "" {
			f.Field = pages.ID(form, f.Field)
		}
		r = r.Add(f.Field, f.Text)
	}
	return r.Err()
}

func keepDraft(view *pages.CaseView, lane disclosure.Lane, text string) {
	for i := range view.Lanes {
		if view.Lanes[i].Lane == lane {
			view.Lanes[i].Draft = text
		}
	}
}

func (d *Desk) takeBack(v *visit) error {
	c, err := d.theCase(v)
	if err != nil {
		return err
	}
	if err := d.c.DB.TakeBack(v.Context(), v.by, disclosure.MessageID(v.PostFormValue(pages.FieldMessage))); err != nil {
		return d.caseAgain(v, c, err, func(*pages.CaseView) {})
	}
	return v.flash(pages.CasePath(c.Number), "taken-back")
}

// tryAgain has work open once more what a message came with.
func (d *Desk) tryAgain(v *visit) error {
	c, err := d.theCase(v)
	if err != nil {
		return err
	}
	if err := d.c.DB.TryAgain(v.Context(), v.by, disclosure.MessageID(v.PostFormValue(pages.FieldMessage))); err != nil {
		return d.caseAgain(v, c, err, func(*pages.CaseView) {})
	}
	d.c.Wake()
	return v.flash(pages.CasePath(c.Number), "trying")
}

// supply keeps the text of a message that we could not open, as a member has it.
func (d *Desk) supply(v *visit) error {
	c, err := d.theCase(v)
	if err != nil {
		return err
	}
	id := v.PostFormValue(pages.FieldMessage)
	err = d.c.DB.SupplyText(v.Context(), v.by, disclosure.MessageID(id), v.PostFormValue(pages.FieldText))
	if err == nil {
		return v.flash(pages.CasePath(c.Number), "supplied")
	}
	return d.caseAgain(v, c, inForm(err, "supply-"+id), func(*pages.CaseView) {})
}
