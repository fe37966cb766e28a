"""One walk through every operation that is served, for any client that can make a call.

A step is (service, operation, input, check). `input` and `check` are functions of the walk's
state; a check may keep what later steps need. boto3 and the AWS CLI both walk it.
"""

import json
import pathlib
import subprocess

DOCUMENT = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"}]})
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "111122223333"}}]})


def openssl(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


def authority(directory, name, code=None):
    """A CA, and with a registration code its verification certificate."""
    openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}",
            "-days", "365")
    if code:
        leaf(directory, name, f"{name}-proof", code)
    return (directory / f"{name}.pem").read_text()


def csr(directory, name, common_name):
    openssl(directory, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={common_name}")
    return (directory / f"{name}.csr").read_text()


def leaf(directory, ca, name, common_name):
    csr(directory, name, common_name)
    openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey",
            f"{ca}.key", "-CAcreateserial", "-out", f"{name}.pem", "-days", "30")
    return (directory / f"{name}.pem").read_text()


class State(dict):
    """What the walk has learned, with attribute access."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


def keep(**members):
    """A check that keeps members of the output under other names."""
    def check(out, s):
        for name, member in members.items():
            assert out.get(member), (member, out)
            s[name] = out[member]
    return check


def has(**members):
    """A check that members have these values."""
    def check(out, s):
        for name, value in members.items():
            wanted = value(s) if callable(value) else value
            assert out.get(name) == wanted, (name, out.get(name), wanted)
    return check


def lists(member, wanted, key=None):
    """A check that a list holds an item."""
    def check(out, s):
        items = [item[key] if key else item for item in out[member]]
        assert wanted(s) in items, (wanted(s), items)
    return check


def nothing(out, s):
    """A check for operations that answer an empty structure."""


THINGS = [
    ("iot", "CreateThingType", lambda s: dict(thingTypeName=s.type, thingTypeProperties={
        "thingTypeDescription": "pumps", "searchableAttributes": ["site"]},
        tags=[{"Key": "k", "Value": "v"}]), keep(type_id="thingTypeId", type_arn="thingTypeArn")),
    ("iot", "UpdateThingType", lambda s: dict(thingTypeName=s.type, thingTypeProperties={
        "thingTypeDescription": "all pumps"}), nothing),
    ("iot", "DescribeThingType", lambda s: dict(thingTypeName=s.type),
     has(thingTypeName=lambda s: s.type, thingTypeId=lambda s: s.type_id)),
    ("iot", "ListThingTypes", lambda s: dict(thingTypeName=s.type),
     lists("thingTypes", lambda s: s.type, "thingTypeName")),
    ("iot", "CreateBillingGroup", lambda s: dict(billingGroupName=s.billing),
     keep(billing_arn="billingGroupArn")),
    ("iot", "UpdateBillingGroup", lambda s: dict(billingGroupName=s.billing, billingGroupProperties={
        "billingGroupDescription": "paid by plant 7"}), has(version=2)),
    ("iot", "DescribeBillingGroup", lambda s: dict(billingGroupName=s.billing), has(version=2)),
    ("iot", "ListBillingGroups", lambda s: dict(namePrefixFilter=s.billing),
     lists("billingGroups", lambda s: s.billing, "groupName")),
    ("iot", "CreateThing", lambda s: dict(thingName=s.thing, thingTypeName=s.type,
                                          attributePayload={"attributes": {"site": "north"}}),
     keep(thing_id="thingId", thing_arn="thingArn")),
    ("iot", "UpdateThing", lambda s: dict(thingName=s.thing, expectedVersion=1, attributePayload={
        "attributes": {"line": "4"}, "merge": True}), nothing),
    ("iot", "DescribeThing", lambda s: dict(thingName=s.thing),
     has(version=2, attributes={"site": "north", "line": "4"}, thingId=lambda s: s.thing_id)),
    ("iot", "ListThings", lambda s: dict(thingTypeName=s.type),
     lists("things", lambda s: s.thing, "thingName")),
    ("iot", "AddThingToBillingGroup", lambda s: dict(billingGroupName=s.billing, thingName=s.thing),
     nothing),
    ("iot", "ListThingsInBillingGroup", lambda s: dict(billingGroupName=s.billing),
     lists("things", lambda s: s.thing)),
    ("iot", "RemoveThingFromBillingGroup", lambda s: dict(billingGroupName=s.billing,
                                                          thingName=s.thing), nothing),
    ("iot", "CreateThingGroup", lambda s: dict(thingGroupName=s.parent), keep(parent_arn="thingGroupArn")),
    ("iot", "CreateThingGroup", lambda s: dict(thingGroupName=s.group, parentGroupName=s.parent),
     keep(group_arn="thingGroupArn")),
    ("iot", "UpdateThingGroup", lambda s: dict(thingGroupName=s.group, thingGroupProperties={
        "thingGroupDescription": "north hall"}), has(version=2)),
    ("iot", "DescribeThingGroup", lambda s: dict(thingGroupName=s.group),
     has(thingGroupName=lambda s: s.group, version=2)),
    ("iot", "ListThingGroups", lambda s: dict(parentGroup=s.parent, recursive=True),
     lists("thingGroups", lambda s: s.group, "groupName")),
    ("iot", "AddThingToThingGroup", lambda s: dict(thingGroupName=s.group, thingName=s.thing), nothing),
    ("iot", "ListThingsInThingGroup", lambda s: dict(thingGroupName=s.parent, recursive=True),
     lists("things", lambda s: s.thing)),
    ("iot", "ListThingGroupsForThing", lambda s: dict(thingName=s.thing),
     lists("thingGroups", lambda s: s.group, "groupName")),
    ("iot", "RemoveThingFromThingGroup", lambda s: dict(thingGroupName=s.group, thingName=s.thing),
     nothing),
    ("iot", "UpdateThingGroupsForThing", lambda s: dict(thingName=s.thing, thingGroupsToAdd=[s.group]),
     nothing),
    ("iot", "TagResource", lambda s: dict(resourceArn=s.group_arn, tags=[{"Key": "a", "Value": "b"}]),
     nothing),
    ("iot", "ListTagsForResource", lambda s: dict(resourceArn=s.group_arn), has(tags=[
        {"Key": "a", "Value": "b"}])),
    ("iot", "UntagResource", lambda s: dict(resourceArn=s.group_arn, tagKeys=["a"]), nothing),
    ("iot", "DescribeEndpoint", lambda s: dict(endpointType="iot:Data-ATS"), keep(host="endpointAddress")),
]

CERTIFICATES = [
    ("iot", "CreateKeysAndCertificate", lambda s: dict(setAsActive=True),
     keep(certificate="certificateId", certificate_arn="certificateArn")),
    ("iot", "CreateCertificateFromCsr", lambda s: dict(
        certificateSigningRequest=csr(s.directory, "device", "device"), setAsActive=False),
     keep(from_csr="certificateId")),
    ("iot", "DescribeCertificate", lambda s: dict(certificateId=s.certificate),
     lambda out, s: has(status="ACTIVE")(out["certificateDescription"], s)),
    ("iot", "ListCertificates", lambda s: dict(pageSize=250),
     lists("certificates", lambda s: s.certificate, "certificateId")),
    ("iot", "AttachThingPrincipal", lambda s: dict(thingName=s.thing, principal=s.certificate_arn), nothing),
    ("iot", "ListThingPrincipals", lambda s: dict(thingName=s.thing),
     lists("principals", lambda s: s.certificate_arn)),
    ("iot", "ListThingPrincipalsV2", lambda s: dict(thingName=s.thing),
     lists("thingPrincipalObjects", lambda s: s.certificate_arn, "principal")),
    ("iot", "ListPrincipalThings", lambda s: dict(principal=s.certificate_arn),
     lists("things", lambda s: s.thing)),
    ("iot", "ListPrincipalThingsV2", lambda s: dict(principal=s.certificate_arn),
     lists("principalThingObjects", lambda s: s.thing, "thingName")),
    ("iot", "GetRegistrationCode", lambda s: {}, keep(code="registrationCode")),
    ("iot", "RegisterCACertificate", lambda s: dict(
        caCertificate=authority(s.directory, s.ca_name, s.code), setAsActive=True,
        verificationCertificate=(s.directory / f"{s.ca_name}-proof.pem").read_text()),
     keep(ca="certificateId")),
    ("iot", "UpdateCACertificate", lambda s: dict(certificateId=s.ca, newAutoRegistrationStatus="ENABLE"),
     nothing),
    ("iot", "DescribeCACertificate", lambda s: dict(certificateId=s.ca),
     lambda out, s: has(status="ACTIVE", autoRegistrationStatus="ENABLE")(out["certificateDescription"], s)),
    ("iot", "ListCACertificates", lambda s: {}, lists("certificates", lambda s: s.ca, "certificateId")),
    ("iot", "RegisterCertificate", lambda s: dict(
        certificatePem=leaf(s.directory, s.ca_name, "registered", "registered"), status="INACTIVE"),
     keep(registered="certificateId")),
    ("iot", "ListCertificatesByCA", lambda s: dict(caCertificateId=s.ca),
     lists("certificates", lambda s: s.registered, "certificateId")),
    ("iot", "RegisterCertificateWithoutCA", lambda s: dict(
        certificatePem=(authority(s.directory, f"{s.ca_name}-other"),
                        leaf(s.directory, f"{s.ca_name}-other", "free", "free"))[1], status="INACTIVE"),
     keep(free="certificateId")),
    ("iot", "ListOutgoingCertificates", lambda s: {}, has(outgoingCertificates=[])),
]

POLICIES = [
    ("iot", "CreatePolicy", lambda s: dict(policyName=s.policy, policyDocument=DOCUMENT),
     has(policyVersionId="1")),
    ("iot", "CreatePolicyVersion", lambda s: dict(policyName=s.policy, policyDocument=DOCUMENT),
     has(policyVersionId="2", isDefaultVersion=False)),
    ("iot", "SetDefaultPolicyVersion", lambda s: dict(policyName=s.policy, policyVersionId="2"), nothing),
    ("iot", "GetPolicyVersion", lambda s: dict(policyName=s.policy, policyVersionId="2"),
     has(isDefaultVersion=True, policyDocument=DOCUMENT)),
    ("iot", "ListPolicyVersions", lambda s: dict(policyName=s.policy),
     lists("policyVersions", lambda s: "1", "versionId")),
    ("iot", "DeletePolicyVersion", lambda s: dict(policyName=s.policy, policyVersionId="1"), nothing),
    ("iot", "GetPolicy", lambda s: dict(policyName=s.policy), has(defaultVersionId="2")),
    ("iot", "ListPolicies", lambda s: dict(pageSize=250), lists("policies", lambda s: s.policy, "policyName")),
    ("iot", "AttachPolicy", lambda s: dict(policyName=s.policy, target=s.certificate_arn), nothing),
    ("iot", "ListAttachedPolicies", lambda s: dict(target=s.certificate_arn),
     lists("policies", lambda s: s.policy, "policyName")),
    ("iot", "ListTargetsForPolicy", lambda s: dict(policyName=s.policy),
     lists("targets", lambda s: s.certificate_arn)),
    ("iot", "ListPrincipalPolicies", lambda s: dict(principal=s.certificate_arn),
     lists("policies", lambda s: s.policy, "policyName")),
    ("iot", "ListPolicyPrincipals", lambda s: dict(policyName=s.policy),
     lambda out, s: None if s.certificate_arn in out["principals"] else lists(
         "principals", lambda s: s.certificate)(out, s)),
    ("iot", "GetEffectivePolicies", lambda s: dict(principal=s.certificate_arn, thingName=s.thing),
     lists("effectivePolicies", lambda s: s.policy, "policyName")),
    ("iot", "TestAuthorization", lambda s: dict(principal=s.certificate_arn, clientId=s.thing, authInfos=[
        {"actionType": "CONNECT", "resources": [s.arn(f"client/{s.thing}")]}]),
     lambda out, s: has(authDecision="ALLOWED")(out["authResults"][0], s)),
    ("iot", "DetachPolicy", lambda s: dict(policyName=s.policy, target=s.certificate_arn), nothing),
    ("iot", "AttachPrincipalPolicy", lambda s: dict(policyName=s.policy, principal=s.certificate_arn), nothing),
    ("iot", "DetachPrincipalPolicy", lambda s: dict(policyName=s.policy, principal=s.certificate_arn), nothing),
]

DATA = [
    ("iot-data", "Publish", lambda s: dict(topic=s.topic, qos=1, retain=True, payload=s.blob(b"kept")), nothing),
    ("iot-data", "GetRetainedMessage", lambda s: dict(topic=s.topic),
     lambda out, s: has(topic=lambda s: s.topic, qos=1)(out, s)),
    ("iot-data", "ListRetainedMessages", lambda s: {}, lists("retainedTopics", lambda s: s.topic, "topic")),
]

LIVE = [
    ("iot-data", "GetConnection", lambda s: dict(clientId=s.client_id), has(connected=True)),
    ("iot-data", "ListSubscriptions", lambda s: dict(clientId=s.client_id),
     has(subscriptions=[{"topicFilter": "live/t", "qos": 1}])),
    ("iot-data", "SendDirectMessage", lambda s: dict(clientId=s.client_id, topic="direct/t",
                                                     payload=s.blob(b"direct")), nothing),
    ("iot-data", "DeleteConnection", lambda s: dict(clientId=s.client_id), nothing),
]

IDENTITY = [
    ("sts", "GetCallerIdentity", lambda s: {}, has(Account="111122223333")),
    ("iam", "CreateUser", lambda s: dict(UserName=s.user, Tags=[{"Key": "team", "Value": "a"}]), nothing),
    ("iam", "GetUser", lambda s: dict(UserName=s.user), lambda out, s: has(UserName=s.user)(out["User"], s)),
    ("iam", "ListUsers", lambda s: {}, lists("Users", lambda s: s.user, "UserName")),
    ("iam", "TagUser", lambda s: dict(UserName=s.user, Tags=[{"Key": "b", "Value": "c"}]), nothing),
    ("iam", "ListUserTags", lambda s: dict(UserName=s.user), lists("Tags", lambda s: "b", "Key")),
    ("iam", "UntagUser", lambda s: dict(UserName=s.user, TagKeys=["b"]), nothing),
    ("iam", "CreateAccessKey", lambda s: dict(UserName=s.user),
     lambda out, s: s.update(key=out["AccessKey"]["AccessKeyId"])),
    ("iam", "ListAccessKeys", lambda s: dict(UserName=s.user),
     lists("AccessKeyMetadata", lambda s: s.key, "AccessKeyId")),
    ("iam", "GetAccessKeyLastUsed", lambda s: dict(AccessKeyId=s.key), has(UserName=lambda s: s.user)),
    ("iam", "UpdateAccessKey", lambda s: dict(UserName=s.user, AccessKeyId=s.key, Status="Inactive"), nothing),
    ("iam", "DeleteAccessKey", lambda s: dict(UserName=s.user, AccessKeyId=s.key), nothing),
    ("iam", "PutUserPolicy", lambda s: dict(UserName=s.user, PolicyName="p", PolicyDocument=DOCUMENT), nothing),
    ("iam", "GetUserPolicy", lambda s: dict(UserName=s.user, PolicyName="p"), has(PolicyName="p")),
    ("iam", "ListUserPolicies", lambda s: dict(UserName=s.user), has(PolicyNames=["p"])),
    ("iam", "DeleteUserPolicy", lambda s: dict(UserName=s.user, PolicyName="p"), nothing),
    ("iam", "UpdateUser", lambda s: dict(UserName=s.user, NewUserName=f"{s.user}-b"), nothing),
    ("iam", "DeleteUser", lambda s: dict(UserName=f"{s.user}-b"), nothing),
    ("iam", "CreateRole", lambda s: dict(RoleName=s.role, AssumeRolePolicyDocument=TRUST),
     lambda out, s: s.update(role_arn=out["Role"]["Arn"])),
    ("iam", "GetRole", lambda s: dict(RoleName=s.role), lambda out, s: has(RoleName=s.role)(out["Role"], s)),
    ("iam", "ListRoles", lambda s: {}, lists("Roles", lambda s: s.role, "RoleName")),
    ("iam", "UpdateRole", lambda s: dict(RoleName=s.role, Description="d", MaxSessionDuration=7200), nothing),
    ("iam", "UpdateAssumeRolePolicy", lambda s: dict(RoleName=s.role, PolicyDocument=TRUST), nothing),
    ("iam", "TagRole", lambda s: dict(RoleName=s.role, Tags=[{"Key": "b", "Value": "c"}]), nothing),
    ("iam", "ListRoleTags", lambda s: dict(RoleName=s.role), lists("Tags", lambda s: "b", "Key")),
    ("iam", "UntagRole", lambda s: dict(RoleName=s.role, TagKeys=["b"]), nothing),
    ("iam", "PutRolePolicy", lambda s: dict(RoleName=s.role, PolicyName="p", PolicyDocument=DOCUMENT), nothing),
    ("iam", "GetRolePolicy", lambda s: dict(RoleName=s.role, PolicyName="p"), has(PolicyName="p")),
    ("iam", "ListRolePolicies", lambda s: dict(RoleName=s.role), has(PolicyNames=["p"])),
    ("sts", "AssumeRole", lambda s: dict(RoleArn=s.role_arn, RoleSessionName="walk"), keep(session="Credentials")),
    ("iam", "DeleteRolePolicy", lambda s: dict(RoleName=s.role, PolicyName="p"), nothing),
    ("iam", "DeleteRole", lambda s: dict(RoleName=s.role), nothing),
]

CLEANING = [
    ("iot", "DetachThingPrincipal", lambda s: dict(thingName=s.thing, principal=s.certificate_arn), nothing),
    ("iot", "UpdateCertificate", lambda s: dict(certificateId=s.certificate, newStatus="INACTIVE"), nothing),
    ("iot", "DeleteCertificate", lambda s: dict(certificateId=s.certificate), nothing),
    ("iot", "DeleteCertificate", lambda s: dict(certificateId=s.from_csr), nothing),
    ("iot", "DeleteCertificate", lambda s: dict(certificateId=s.registered), nothing),
    ("iot", "DeleteCertificate", lambda s: dict(certificateId=s.free), nothing),
    ("iot", "UpdateCACertificate", lambda s: dict(certificateId=s.ca, newStatus="INACTIVE"), nothing),
    ("iot", "DeleteCACertificate", lambda s: dict(certificateId=s.ca), nothing),
    ("iot", "DeletePolicy", lambda s: dict(policyName=s.policy), nothing),
    ("iot", "DeleteThing", lambda s: dict(thingName=s.thing), nothing),
    ("iot", "DeprecateThingType", lambda s: dict(thingTypeName=s.type), nothing),
    ("iot", "DeleteThingType", lambda s: dict(thingTypeName=s.type), nothing),
    ("iot", "DeleteThingGroup", lambda s: dict(thingGroupName=s.group), nothing),
    ("iot", "DeleteThingGroup", lambda s: dict(thingGroupName=s.parent), nothing),
    ("iot", "DeleteBillingGroup", lambda s: dict(billingGroupName=s.billing), nothing),
    ("iot", "DeleteRegistrationCode", lambda s: {}, nothing),
]

# With one account served there is nobody to transfer to: refused as modelled (contract 5.6).
REFUSED = [
    ("iot", "TransferCertificate", lambda s: dict(certificateId=s.certificate,
                                                  targetAwsAccount="999999999999")),
    ("iot", "AcceptCertificateTransfer", lambda s: dict(certificateId=s.certificate)),
    ("iot", "RejectCertificateTransfer", lambda s: dict(certificateId=s.certificate)),
    ("iot", "CancelCertificateTransfer", lambda s: dict(certificateId=s.certificate)),
]


def new_state(platform, unique, directory, blob):
    names = {name: unique(name) for name in ("thing", "type", "billing", "group", "parent", "policy",
                                             "user", "role")}
    return State(names, topic=f"walk/{unique('t')}", ca_name=unique("ca"), arn=platform.arn, blob=blob,
                 directory=pathlib.Path(directory))

