package desk

import (
	"errors"
	"strings"

	"postern/internal/disclosure"
	"postern/internal/postgres"
	"postern/internal/vault"
	pages "postern/web/desk"
	"postern/web/ui"
)

func (d *Desk) vaultRoutes() {
	d.page(pages.PathVault, disclosure.Admin, d.vaultPage)
	d.form(pages.PathVault+"/add", disclosure.Admin, 0, d.stepUp(d.addSlot))
	d.form(pages.PathVault+"/holder", disclosure.Admin, 0, d.stepUp(d.giveSlot))
	d.form(pages.PathVault+"/remove", disclosure.Admin, 0, d.stepUp(d.removeSlot))
}

func (d *Desk) vaultPage(v *visit) error {
	view, err := d.vaultView(v)
	if err != nil {
		return err
	}
	return v.render(pages.Vault(view))
}

func (d *Desk) vaultView(v *visit) (pages.VaultView, error) {
	view := pages.VaultView{Desk: d.frame(v, ui.NavVault), CanAdmin: true, Fingerprint: d.c.DB.Vault().Public().Fingerprint()}
	slots, err := d.c.DB.Slots(v.Context(), v.by)
	if err != nil {
		return view, err
	}
	members, err := d.c.DB.Members(v.Context(), v.by)
	names := map[string]string{}
	for _, m := range members {
		names[string(m.ID)] = m.Name
		if m.Disabled.IsZero() {
			view.Members = append(view.Members, ui.Option{Value: string(m.ID), Label: m.Name})
		}
	}
	for _, s := range slots {
		view.Slots = append(view.Slots, pages.SlotRow{ID: s.ID, Kind: slotWords(s.Kind), Label: s.Label,
			Member: s.Member, MemberName: names[s.Member], Made: s.Created, Last: len(slots) == 1})
	}
	return view, err
}

func slotWords(k vault.SlotKind) string {
	switch k {
	case vault.SlotPassphrase:
		return "passphrase"
	case vault.SlotRecovery:
		return "recovery phrase"
	}
	return "machine"
}

// vaultAgain shows the slots with what is wrong. A passphrase is never shown again.
func (d *Desk) vaultAgain(v *visit, err error) error {
	list, err := refused(err)
	if err != nil {
		return err
	}
	view, err := d.vaultView(v)
	if err != nil {
		return err
	}
	view.Faults, view.Holder, view.Member = list, v.PostFormValue(pages.FieldHolder), v.PostFormValue(pages.FieldMember)
	return v.again(pages.Vault(view))
}

func (d *Desk) addSlot(v *visit) error {
	holder := postgres.Holder{Member: disclosure.MemberID(v.PostFormValue(pages.FieldMember)), Label: strings.TrimSpace(v.PostFormValue(pages.FieldHolder))}
	pass := v.PostFormValue(pages.FieldPass)
	var refusal *disclosure.Refusal
	if holder.Label == "" && holder.Member == "" || len(holder.Label) > 100 || disclosure.Hidden(holder.Label) {
		refusal = refusal.Add(pages.FieldHolder, "Choose a member, or say in one line who holds the passphrase.")
	}
	if len([]rune(pass)) < vault.MinPassphrase {
		refusal = refusal.Add(pages.FieldPass, sentence(vault.ErrShortPassphrase))
	} else if pass != v.PostFormValue(pages.FieldPassTwo) {
		refusal = refusal.Add(pages.FieldPassTwo, "The two passphrases differ. Type the same one twice.")
	}
	err := refusal.Err()
	if err == nil {
		_, err = d.c.DB.AddSlot(v.Context(), v.by, vault.SlotPassphrase, holder, pass, d.c.VaultCost)
	}
	if errors.Is(err, vault.ErrShortPassphrase) {
		err = disclosure.Refuse(pages.FieldPass, sentence(err))
	}
	if err != nil {
		return d.vaultAgain(v, err)
	}
	return v.flash(pages.PathVault, "saved")
}

func (d *Desk) giveSlot(v *visit) error {
	err := d.c.DB.GiveSlot(v.Context(), v.by, v.PostFormValue(pages.FieldSlot), disclosure.MemberID(v.PostFormValue(pages.FieldMember)))
	if err != nil {
		return d.vaultAgain(v, err)
	}
	return v.flash(pages.PathVault, "saved")
}

func (d *Desk) removeSlot(v *visit) error {
	err := d.c.DB.RemoveSlot(v.Context(), v.by, v.PostFormValue(pages.FieldSlot))
	if errors.Is(err, vault.ErrLastSlot) {
		err = disclosure.Refuse("", "This is the only slot left: without it the vault could not be opened any more.")
	}
	if err != nil {
		return d.vaultAgain(v, err)
	}
	return v.flash(pages.PathVault, "removed")
}
