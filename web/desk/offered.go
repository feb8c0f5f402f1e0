package desk

// OfferedKey is a public key that came with a message, and is not what answers
// to its sender are encrypted to. It stays an offer until a member takes it:
// whoever can write into a lane can send a key.
type OfferedKey struct {
	Print    string   // full fingerprint, hexadecimal
	UserIDs  []string // as the key claims; they prove nothing
	Armored  string   // what the button takes
	Why      string   // why it cannot be encrypted to; empty: it can
	Reporter string   // id
	Now      string   // fingerprint of the key that answers are encrypted to; empty: none
	HasKey   bool     // there is such a key, with a fingerprint or without
	CanTake  bool     // this member may take it
}

// Renewed reports whether it is the key we use, in a newer or another form.
func (k OfferedKey) Renewed() bool { return k.Now == k.Print }
