package ui

// MemberTexts is members and the member's own page..
type MemberTexts struct {
	Recipient         string
	RecipientNow      string
	RecipientNobody   string
	RecipientText     string
	RecipientChange   string
	RecipientWho      string
	RecipientNone     string
	RecipientDelegate string
	RecipientFrom     string
	RecipientUntil    string
	RecipientButton   string
	SigningRemove     string
	SigningButton     string
	SigningAdd        string
	Signing           string
	PasswordSave      string
	PasswordNow       string
	Password          string
	Title             string
	Name              string
	Address           string
	Roles             string
	Seen              string
	State             string
	Active            string
	Disabled          string
	Invited           string
	You               string
	Invite            string
	InviteText        string
	InviteButton      string
	Link              string
	LinkText          string
	RolesButton       string
	Disable           string
	DisableHint       string
	Enable            string
	Reset             string
	Change            string
	RoleTriager       string
	RoleReleaser      string
	RoleAdmin         string
	RoleAuditor       string
	Account           string
	Zone              string
	ZoneHint          string
	ZoneButton        string
	Key               string
	KeyText           string
	KeyNone           string
	KeyField          string
	KeyButton         string
	Alerts            string
	AlertsButton      string
	Sessions          string
	SessionSince      string
	SessionSeen       string
	SessionAgent      string
	SessionThis       string
	SessionEnd        string
	NoKey             string
}

// AdminTexts is log, health, policy and vault..
type AdminTexts struct {
	Pause             string
	PauseText         string
	PauseNow          string
	PauseNotice       string
	PauseButton       string
	PauseEnd          string
	Log               string
	LogActor          string
	LogKind           string
	LogAbout          string
	LogAboutHint      string
	LogAny            string
	LogTime           string
	LogText           string
	LogNone           string
	LogNoneFilter     string
	LogApply          string
	LogWhole          string
	Health            string
	HealthOk          string
	HealthChecked     string
	Fault             string
	Warning           string
	Ok                string
	HeldTitle         string
	HeldText          string
	HeldSince         string
	HeldWould         string
	HeldNothing       string
	HeldButton        string
	Mend              string
	Policy            string
	PolicyInForce     string
	PolicySince       string
	PolicyBy          string
	PolicyText        string
	PolicyHint        string
	PolicyCheck       string
	PolicyApply       string
	PolicyChecked     string
	PolicyNoChange    string
	Vault             string
	VaultText         string
	VaultPrint        string
	VaultKind         string
	VaultHolder       string
	VaultMade         string
	VaultRemove       string
	VaultLast         string
	VaultAdd          string
	VaultAddHolder    string
	VaultAddHint      string
	VaultMember       string
	VaultMemberNone   string
	VaultMemberGoes   string
	VaultMemberAsk    string
	VaultMemberSet    string
	VaultAddPass      string
	VaultAddAgain     string
	VaultAddButton    string
	VaultRecovery     string
	VaultRecoveryText string
	VaultLock         string
	VaultLockHint     string
}

var englishMember = MemberTexts{
	Recipient:         "Whom new reports go to",
	RecipientNow:      "Now: %s.",
	RecipientNobody:   "Nobody is named, so everybody who wants to be told is.",
	RecipientText:     "The promises run on whoever it is.",
	RecipientChange:   "Name somebody, or an absence",
	RecipientWho:      "Person",
	RecipientNone:     "nobody",
	RecipientDelegate: "Stands in",
	RecipientFrom:     "Absent from",
	RecipientUntil:    "Until",
	RecipientButton:   "Save",
	SigningRemove:     "Take the signing key back",
	SigningButton:     "Register it",
	SigningAdd:        "Certificate that notices are signed with (armored OpenPGP public key)",
	Signing:           "Signs notices with",
	PasswordSave:      "Change the password",
	PasswordNow:       "Your password now",
	Password:          "Password",
	Title:             "Members",
	Name:              "Name",
	Address:           "Mail address",
	Roles:             "Roles",
	Seen:              "Last seen",
	State:             "State",
	Active:            "active",
	Disabled:          "disabled",
	Invited:           "invited",
	You:               "you",
	Invite:            "Invite a member",
	InviteText:        "A link is made, valid once. Hand it over yourself.",
	InviteButton:      "Make an invitation",
	Link:              "One-time link for %s",
	LinkText:          "Shown once. It ends",
	RolesButton:       "Save the roles",
	Disable:           "Disable",
	DisableHint:       "Sessions end at once, and a slot of the vault in this member's name goes.",
	Enable:            "Enable again",
	Reset:             "Reset password and second factor",
	Change:            "Change",
	RoleTriager:       "triager: opens cases, answers, decides",
	RoleReleaser:      "releaser: may sign, send and publish",
	RoleAdmin:         "admin: members, policy, keys, distributors",
	RoleAuditor:       "auditor: the log, not the cases",
	Account:           "Account",
	Zone:              "Time zone",
	ZoneHint:          "IANA name, for example Europe/Vienna. Times are shown in UTC and in your zone.",
	ZoneButton:        "Save the zone",
	Key:               "Your key",
	KeyText:           "Notifications to you are encrypted to it. They hold an id and a link, nothing else.",
	KeyNone:           "No key: notifications come in clear text.",
	KeyField:          "Armored OpenPGP public key",
	KeyButton:         "Save the key",
	Alerts:            "Mail me about",
	AlertsButton:      "Save",
	Sessions:          "Where you are signed in",
	SessionSince:      "Since",
	SessionSeen:       "Last seen",
	SessionAgent:      "Browser",
	SessionThis:       "this one",
	SessionEnd:        "Sign it out",
	NoKey:             "none",
}

var englishAdmin = AdminTexts{
	Pause:             "Pause intake",
	PauseText:         "Form and API say the notice and take nothing. Mail is taken and kept in order. Nothing that came is lost or rejected.",
	PauseNow:          "Paused now:",
	PauseNotice:       "Notice to the public",
	PauseButton:       "Pause with this notice",
	PauseEnd:          "Open intake again",
	Log:               "Log",
	LogActor:          "By",
	LogKind:           "What",
	LogAbout:          "About",
	LogAboutHint:      "Case number, release or member.",
	LogAny:            "any",
	LogTime:           "When",
	LogText:           "Details",
	LogNone:           "Nothing is logged.",
	LogNoneFilter:     "Nothing matches.",
	LogApply:          "Apply",
	LogWhole:          "Chain",
	Health:            "Health",
	HealthOk:          "Everything looked at is well.",
	HealthChecked:     "Looked at",
	Fault:             "fault",
	Warning:           "warning",
	Ok:                "well",
	HeldTitle:         "The instance is held",
	HeldText:          "Nothing is sent and nothing is published until a member lets go.",
	HeldSince:         "Held since",
	HeldWould:         "Letting go would",
	HeldNothing:       "send nothing by itself",
	HeldButton:        "Let go",
	Mend:              "To mend it",
	Policy:            "Policy",
	PolicyInForce:     "Version %d is in force",
	PolicySince:       "since",
	PolicyBy:          "applied by %s",
	PolicyText:        "Policy file",
	PolicyHint:        "TOML. Every fault is named at once; nothing changes until you apply.",
	PolicyCheck:       "Check",
	PolicyApply:       "Apply",
	PolicyChecked:     "No faults. Applying it changes:",
	PolicyNoChange:    "nothing",
	Vault:             "Vault",
	VaultText:         "Each slot opens the vault by itself. Keep at least two. A member's own goes when they are disabled.",
	VaultPrint:        "Vault key",
	VaultKind:         "Kind",
	VaultHolder:       "Holder",
	VaultMade:         "Made",
	VaultRemove:       "Remove",
	VaultLast:         "the only one; it cannot be removed",
	VaultAdd:          "Add a slot",
	VaultAddHolder:    "Name",
	VaultAddHint:      "For a slot that is nobody's of the team, such as a phrase in a safe.",
	VaultMember:       "Whose it is",
	VaultMemberNone:   "nobody's of the team",
	VaultMemberGoes:   "It goes when %s is disabled.",
	VaultMemberAsk:    "Whose is it?",
	VaultMemberSet:    "Save",
	VaultAddPass:      "Passphrase",
	VaultAddAgain:     "The same passphrase again",
	VaultAddButton:    "Add the slot",
	VaultRecovery:     "Recovery phrase",
	VaultRecoveryText: "Shown once. Write it down and keep it apart.",
	VaultLock:         "Lock the vault",
	VaultLockHint:     "Nothing can be read until somebody unlocks it. Reports are still accepted.",
}
