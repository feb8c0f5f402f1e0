package ui

// MailboxTexts is the mailbox pages..
type MailboxTexts struct {
	Title           string
	Enter           string
	EnterText       string
	Code            string
	CodeHint        string
	Open            string
	Lost            string
	NotFound        string
	NotFoundText    string
	Status          string
	Planned         string
	Messages        string
	MessagesNone    string
	Ours            string
	Yours           string
	YoursText       string
	YoursSize       string
	YoursDigest     string
	YoursCredit     string
	YoursKey        string
	YoursWithdraw   string
	OursEncrypted   string
	YoursNote       string
	Add             string
	AddText         string
	AddHint         string
	AddFiles        string
	AddButton       string
	Added           string
	AddedText       string
	NotStored       string
	Sealed          string
	Credit          string
	CreditText      string
	CreditUnset     string
	CreditYes       string
	CreditNo        string
	CreditWords     string
	CreditWordsHint string
	CreditButton    string
	CreditNow       string
	CreditNowYes    string
	CreditNowNo     string
	CreditNowUnset  string
	Key             string
	KeyText         string
	KeyNow          string
	KeyField        string
	KeyButton       string
	Withdraw        string
	WithdrawText    string
	WithdrawSure    string
	WithdrawReason  string
	WithdrawButton  string
	Withdrawn       string
	Close           string
	CloseText       string
	Again           string
	Receipt         string
	ReceiptShow     string
	ReceiptText     string
	FileGet         string
	Invite          string
	InviteText      string
	InviteButton    string
	InviteMade      string
	InviteMadeText  string
}

// UpcomingTexts is the page of sent pre-announcements..
type UpcomingTexts struct {
	Title    string
	Text     string
	None     string
	NoneText string
	Sent     string
	For      string
}

// AdvisoriesTexts is the index..
type AdvisoriesTexts struct {
	Title      string
	None       string
	NoneText   string
	Follow     string
	FollowFeed string
	FollowList string
	Affects    string
	Fixed      string
	Published  string
	Withdrawn  string
}

// AdvisoryTexts is one advisory..
type AdvisoryTexts struct {
	Names            string
	Published        string
	Updated          string
	Version          string
	Severity         string
	Withdrawn        string
	Affected         string
	Series           string
	Effect           string
	Versions         string
	Fixed            string
	EffectAffected   string
	EffectUnaffected string
	EffectUnknown    string
	Do               string
	DoUpgrade        string
	DoPatches        string
	DoNone           string
	Workaround       string
	Details          string
	Impact           string
	Patches          string
	PatchName        string
	PatchSize        string
	Artefacts        string
	References       string
	Credit           string
	Timeline         string
	Class            string
	Vector           string
	All              string
}

var englishMailbox = MailboxTexts{
	Title:           "Mailbox",
	Enter:           "Open your mailbox",
	EnterText:       "Type or paste the eight words of the code you were shown.",
	Code:            "Mailbox code",
	CodeHint:        "Eight words, with blanks between. Capitals do not matter.",
	Open:            "Open",
	Lost:            "Lost the code? It cannot be made again. Send a new report and say so.",
	NotFound:        "Nothing has been read yet, or no such code",
	NotFoundText:    "If the code is right, a member of the team has not opened your report so far. You can add to it all the same.",
	Status:          "Where it stands",
	Planned:         "Planned for",
	Messages:        "Messages",
	MessagesNone:    "We have not written yet.",
	Ours:            "From the team",
	Yours:           "From you",
	YoursText:       "%s · files: %d",
	YoursSize:       "Size",
	YoursDigest:     "SHA-256",
	YoursCredit:     "You answered about credit: %s.",
	YoursKey:        "You gave an OpenPGP key: %s",
	YoursWithdraw:   "You withdrew the report.",
	OursEncrypted:   "Encrypted to your OpenPGP key, and so are its files. Save it and open it with your own program, such as gpg --decrypt.",
	YoursNote:       "We do not keep what you wrote where this page could read it. Compare the digest with your own copy.",
	Add:             "Add to your report",
	AddText:         "Your text",
	AddHint:         "Text, or one whole message encrypted to our key.",
	AddFiles:        "Files",
	AddButton:       "Send to the team",
	Added:           "Added",
	AddedText:       "Added at %s, %s. SHA-256 below.",
	NotStored:       "Not stored: the database did not answer. Your text is still here. Try again.",
	Sealed:          "Sealed as it arrives; stored, it can be read by the team alone.",
	Credit:          "Credit",
	CreditText:      "Do you want to be named in the advisory?",
	CreditUnset:     "I have not decided",
	CreditYes:       "Yes, with the words below",
	CreditNo:        "No",
	CreditWords:     "Words to print",
	CreditWordsHint: "Printed as they stand, for example “Ada Lovelace of Analytical Engines”.",
	CreditButton:    "Tell the team",
	CreditNow:       "Recorded: %s",
	CreditNowYes:    "yes, as “%s”",
	CreditNowNo:     "no",
	CreditNowUnset:  "nothing yet; without your yes you are not named",
	Key:             "Your public key",
	KeyText:         "If you give a key, what we mail you is encrypted to it.",
	KeyNow:          "We have",
	KeyField:        "Armored OpenPGP public key",
	KeyButton:       "Give this key",
	Withdraw:        "Withdraw the report",
	WithdrawText:    "The team is told. What you sent is kept as evidence.",
	WithdrawSure:    "Yes, withdraw it",
	WithdrawReason:  "Why",
	WithdrawButton:  "Withdraw the report",
	Withdrawn:       "You withdrew this report.",
	Close:           "Close the mailbox",
	CloseText:       "Done? Close this tab. The code stays in no address and no cookie.",
	Again:           "Look again",
	Receipt:         "Signed receipt",
	ReceiptShow:     "Show the receipt",
	ReceiptText:     "Signed by the team's key. Keep it as it stands: it shows that you told us, and when.",
	FileGet:         "Download",
	Invite:          "Make a mailbox",
	InviteText:      "The security team invited you to go on in a mailbox: what is written there is encrypted, and you need no account. It opens with a code of eight words that is made now and shown to you alone, once.",
	InviteButton:    "Make my mailbox",
	InviteMade:      "This is the code of your mailbox",
	InviteMadeText:  "It is shown once. Keep it: nobody else has it, and it cannot be made again. If the link that led you here is good, the team's next answers lie in this mailbox, and the link works no more.",
}

var englishUpcoming = UpcomingTexts{
	Title:    "Upcoming security releases",
	Text:     "What we have announced, word for word as it was sent.",
	None:     "Nothing has been announced.",
	NoneText: "When a security release has been announced ahead, its date stands here.",
	Sent:     "Announced",
	For:      "Planned for",
}

var englishAdvisories = AdvisoriesTexts{
	Title:      "Security advisories",
	None:       "No advisory has been published.",
	NoneText:   "When one is, it stands here and in the feed.",
	Follow:     "Follow by",
	FollowFeed: "Atom feed",
	FollowList: "or the list",
	Affects:    "Affected",
	Fixed:      "Fixed in",
	Published:  "Published",
	Withdrawn:  "withdrawn",
}

var englishAdvisory = AdvisoryTexts{
	Names:            "Names",
	Published:        "Published",
	Updated:          "updated",
	Version:          "Version",
	Severity:         "Severity",
	Withdrawn:        "This advisory was withdrawn on",
	Affected:         "Who is affected",
	Series:           "Series",
	Effect:           "Effect",
	Versions:         "Versions",
	Fixed:            "Fixed in",
	EffectAffected:   "affected",
	EffectUnaffected: "not affected",
	EffectUnknown:    "not investigated",
	Do:               "What to do",
	DoUpgrade:        "Upgrade to",
	DoPatches:        "Or apply the patch for your series.",
	DoNone:           "There is no fixed version.",
	Workaround:       "If you cannot upgrade",
	Details:          "Details",
	Impact:           "What it lets somebody do",
	Patches:          "Patches",
	PatchName:        "File",
	PatchSize:        "Size",
	Artefacts:        "Where to get it",
	References:       "References",
	Credit:           "Credit",
	Timeline:         "Timeline",
	Class:            "Class",
	Vector:           "Vector",
	All:              "All advisories",
}
