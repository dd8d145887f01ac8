-- A user is linked with an identity provider's subject beforehand, or by name where that was asked
-- for. Until now every user without a password, made for tokens only, was linked with the first
-- subject that showed the name.

ALTER TABLE users ADD COLUMN link_by_name boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN users.link_by_name IS 'The next sign-in at the provider under this name links the user; once';
COMMENT ON COLUMN users.oidc_subject IS 'Issuer, a blank, and subject';
