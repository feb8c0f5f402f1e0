package desk

import (
	"slices"
	"strings"
	"time"

	"postern/internal/disclosure"
	"postern/internal/pgp"
	pages "postern/web/desk"
	"postern/web/ui"
)

// The private list is behind a step-up, for looking and for changing.
func (d *Desk) distributorRoutes() {
	at := pages.PathDistributors + "/{distributor}"
	see, change := disclosure.Admin|disclosure.Releaser, disclosure.Admin
	d.page(pages.PathDistributors, see, d.stepUp(d.distributors))
	d.page(pages.DistributorPath(""), change, d.stepUp(d.newDistributor))
	d.form(pages.DistributorPath(""), change, 0, d.stepUp(d.enroll))
	d.page(at, see, d.stepUp(d.distributor))
	d.form(at, change, 0, d.stepUp(d.editDistributor))
	d.form(at+"/key", change, 0, d.stepUp(d.addKey))
	d.form(at+"/remove-key", change, 0, d.stepUp(d.removeKey))
	d.form(at+"/revoke", change, 0, d.stepUp(d.revoke))
}

func (d *Desk) distributors(v *visit) error {
	list, err := d.c.DB.Distributors(v.Context(), v.by)
	if err != nil {
		return err
	}
	view := pages.DistributorsView{Desk: d.frame(v, ui.NavDistributors)}
	for _, x := range list {
		row := distributorRow(x, d.c.DB.Now())
		if x.Revoked.IsZero() {
			view.Rows = append(view.Rows, row)
		} else {
			view.Revoked = append(view.Revoked, row)
		}
	}
	view.Count = len(view.Rows)
	return v.render(pages.Distributors(view))
}

func distributorRow(x disclosure.Distributor, now time.Time) pages.DistributorRow {
	row := pages.DistributorRow{ID: x.ID, Name: x.Name, Address: x.Address, Group: x.Group, Keys: len(x.Keys),
		Clear: len(x.Keys) == 0 && x.ClearOK != "", Enrolled: x.Enrolled, Revoked: x.Revoked}
	if len(x.Keys) == 0 && x.ClearOK == "" {
		row.Problem = "No key."
	}
	for _, k := range x.Keys {
		if problem := keyProblem(k.Certificate, now); problem != "" {
			row.Problem = strings.TrimSpace(row.Problem + " " + problem)
		}
	}
	return row
}

// distributorView adds to an entry what its page shows besides.
func (d *Desk) distributorView(v *visit, x disclosure.Distributor) (pages.DistributorView, error) {
	for i := range x.Keys {
		x.Keys[i].Problem = keyProblem(x.Keys[i].Certificate, d.c.DB.Now())
	}
	view := pages.DistributorView{Desk: d.frame(v, ui.NavDistributors), Distributor: x}
	list, err := d.c.DB.Distributors(v.Context(), v.by)
	if err != nil {
		return view, err
	}
	for _, other := range list {
		if other.Group != "" && !slices.Contains(view.Groups, other.Group) {
			view.Groups = append(view.Groups, other.Group)
		}
	}
	cards, err := d.c.DB.Releases(v.Context(), v.by)
	if err != nil {
		return view, err
	}
	for _, c := range cards {
		if c.State == disclosure.Scheduled || c.State == disclosure.Notified || c.State == disclosure.Releasing {
			view.Live = append(view.Live, c.Title)
		}
	}
	return view, nil
}

func (d *Desk) theDistributor(v *visit) (disclosure.Distributor, error) {
	return d.c.DB.Distributor(v.Context(), v.by, disclosure.DistributorID(v.PathValue("distributor")))
}

func (d *Desk) distributor(v *visit) error {
	x, err := d.theDistributor(v)
	if err != nil {
		return err
	}
	view, err := d.distributorView(v, x)
	if err != nil {
		return err
	}
	return v.render(pages.Distributor(view))
}

func (d *Desk) newDistributor(v *visit) error {
	view, err := d.distributorView(v, disclosure.Distributor{})
	if err == nil {
		err = d.fillApplicant(v, &view)
	}
	if err != nil {
		return err
	}
	return v.render(pages.Distributor(view))
}

// distributorAgain shows the entry with what is wrong and what was typed.
func (d *Desk) distributorAgain(v *visit, x disclosure.Distributor, err error) error {
	list, err := refused(err)
	if err != nil {
		return err
	}
	view, err := d.distributorView(v, x)
	if err != nil {
		return err
	}
	view.Faults, view.KeyText, view.Typed = list, keyAgain(v.PostFormValue(pages.FieldKey)), v.PostFormValue(pages.FieldTyped)
	return v.again(pages.Distributor(view))
}

// typedDistributor puts what was typed into an entry.
func typedDistributor(v *visit, x *disclosure.Distributor) {
	x.Name, x.Address = v.PostFormValue(pages.FieldName), strings.TrimSpace(v.PostFormValue(pages.FieldAddress))
	x.Group, x.Note = strings.TrimSpace(v.PostFormValue(pages.FieldGroup)), v.PostFormValue(pages.FieldNote)
	switch {
	case v.PostFormValue(pages.FieldClear) != "yes":
		x.ClearOK = ""
	case x.ClearOK == "":
		x.ClearOK = v.by.Name
	}
}

// enroll says everything that is wrong at once: the entry's own faults, and
// each key's.
func (d *Desk) enroll(v *visit) error {
	var x disclosure.Distributor
	typedDistributor(v, &x)
	text := v.PostFormValue(pages.FieldKey)
	keys, wrong := readKeys(text, d.c.DB.Now())
	switch {
	case strings.TrimSpace(text) != "":
	case x.ClearOK != "":
		keys, wrong = nil, d.clearAllowed(v)
	default:
		wrong = disclosure.Refuse(pages.FieldKey, "Give at least one key, or accept writing in clear text.")
	}
	var err error
	if wrong == nil {
		x.Keys = keys
		_, err = d.c.DB.Enroll(v.Context(), v.by, x)
	} else {
		err = all(checkEntry(x), wrong)
	}
	if err != nil {
		return d.distributorAgain(v, x, err)
	}
	return v.flash(pages.PathDistributors, "enrolled")
}

// checkEntry says early what enrolling would refuse, so that it is said
// together with the faults of the keys.
func checkEntry(x disclosure.Distributor) error {
	var refusal *disclosure.Refusal
	if strings.TrimSpace(x.Name) == "" {
		refusal = refusal.Add(pages.FieldName, "Give the distributor's name, in one line.")
	}
	if !strings.Contains(x.Address, "@") {
		refusal = refusal.Add(pages.FieldAddress, "Give one mail address, such as security@example.org.")
	}
	return refusal.Err()
}

func (d *Desk) clearAllowed(v *visit) error {
	p, err := d.c.DB.CurrentPolicy(v.Context())
	if err != nil {
		return err
	}
	if p.Distributors.Encrypt != "if_key" {
		return disclosure.Refuse(pages.FieldClear, "The policy asks for encryption: nobody is written to in clear text. Give a key.")
	}
	return nil
}

// readKeys reads one or several certificates and judges each; every fault is said.
func readKeys(text string, now time.Time) ([]disclosure.RecipientKey, error) {
	certs, err := pgp.ParseCertificates([]byte(text))
	if err != nil {
		return nil, disclosure.Refuse(pages.FieldKey, sentence(err))
	}
	var refusal *disclosure.Refusal
	var keys []disclosure.RecipientKey
	for _, c := range certs {
		if err := c.CanEncrypt(now); err != nil {
			refusal = refusal.Add(pages.FieldKey, sentence(err))
			continue
		}
		keys = append(keys, disclosure.RecipientKey{Fingerprint: c.Fingerprint(), Certificate: c.Binary()})
	}
	return keys, refusal.Err()
}

func (d *Desk) editDistributor(v *visit) error {
	x, err := d.theDistributor(v)
	if err != nil {
		return err
	}
	version := number(v.PostFormValue(pages.FieldVersion))
	had := x.ClearOK
	typedDistributor(v, &x)
	var wrong error
	if x.ClearOK != "" && had == "" {
		if wrong = d.clearAllowed(v); wrong != nil {
			wrong = all(checkEntry(x), wrong)
		}
	}
	if wrong == nil {
		wrong = d.c.DB.EditDistributor(v.Context(), v.by, x.ID, version, func(stored *disclosure.Distributor) error {
			typedDistributor(v, stored)
			return nil
		})
	}
	if wrong != nil {
		return d.distributorAgain(v, x, wrong)
	}
	return v.flash(pages.DistributorPath(x.ID), "saved")
}

func (d *Desk) addKey(v *visit) error {
	x, err := d.theDistributor(v)
	if err != nil {
		return err
	}
	keys, err := readKeys(v.PostFormValue(pages.FieldKey), d.c.DB.Now())
	for i := 0; err == nil && i < len(keys); i++ {
		err = d.c.DB.AddKey(v.Context(), v.by, x.ID, keys[i].Fingerprint, keys[i].Certificate)
	}
	if err != nil {
		return d.distributorAgain(v, x, err)
	}
	return v.flash(pages.DistributorPath(x.ID), "saved")
}

func (d *Desk) removeKey(v *visit) error {
	x, err := d.theDistributor(v)
	if err != nil {
		return err
	}
	if err := d.c.DB.RemoveKey(v.Context(), v.by, x.ID, v.PostFormValue(pages.FieldFingerprint)); err != nil {
		return d.distributorAgain(v, x, err)
	}
	return v.flash(pages.DistributorPath(x.ID), "removed")
}

// revoke takes the distributor off the list before the next message leaves.
func (d *Desk) revoke(v *visit) error {
	x, err := d.theDistributor(v)
	if err != nil {
		return err
	}
	if strings.TrimSpace(v.PostFormValue(pages.FieldTyped)) != x.Name {
		return d.distributorAgain(v, x, typedWrong(x.Name))
	}
	if err := d.c.DB.Revoke(v.Context(), v.by, x.ID, v.PostFormValue(pages.FieldReason)); err != nil {
		return d.distributorAgain(v, x, err)
	}
	d.c.Wake()
	return v.flash(pages.PathDistributors, "revoked")
}
