WITH relations AS (
    SELECT oid, relname, relkind, relpersistence, relrowsecurity, relacl, relowner FROM pg_class
    WHERE relnamespace = to_regnamespace('log') AND relkind NOT IN ('i', 'I', 't')
), functions AS (
    SELECT pg_proc.oid, proname, proowner, format('function %s(%s)', proname, pg_get_function_identity_arguments(pg_proc.oid)) AS name,
        format('%s, returns %s, %s, %s, %s, %s', lanname, prorettype::regtype, CASE WHEN prosecdef THEN 'as its owner' ELSE 'as the caller' END,
            provolatile, coalesce(array_to_string(proconfig, ' and '), 'no settings'), md5(prosrc)) AS what
    FROM pg_proc JOIN pg_language ON pg_language.oid = prolang WHERE pronamespace = to_regnamespace('log')
), grants AS (
    SELECT acl.grantee, acl.is_grantable, format('%s on %s', acl.privilege_type, relname) AS what
    FROM relations CROSS JOIN aclexplode(relacl) AS acl
    WHERE acl.grantee <> relowner AND acl.privilege_type <> 'SELECT'
    UNION ALL
    SELECT acl.grantee, acl.is_grantable, format('%s (%s) on %s', acl.privilege_type, attname, relname)
    FROM relations JOIN pg_attribute ON attrelid = relations.oid CROSS JOIN aclexplode(attacl) AS acl
    WHERE acl.grantee <> relowner AND acl.privilege_type <> 'SELECT'
    UNION ALL
    SELECT acl.grantee, acl.is_grantable, format('%s in the schema log', acl.privilege_type)
    FROM pg_namespace CROSS JOIN aclexplode(nspacl) AS acl
    WHERE nspname = 'log' AND acl.grantee <> nspowner AND acl.privilege_type <> 'USAGE'
)
SELECT NULL::text AS who, format('%s %s: %s', CASE relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' ELSE 'relation' END, relname,
    concat_ws(', ', relkind, relpersistence, CASE WHEN relrowsecurity THEN 'hides rows' END)) AS fact
FROM relations
UNION ALL
SELECT NULL, format('column %s.%s: %s', relname, attname, concat_ws(', ', format_type(atttypid, atttypmod),
    CASE WHEN attnotnull THEN 'not null' END, nullif(attidentity, ''), nullif(attgenerated, ''), pg_get_expr(adbin, adrelid),
    CASE WHEN attcollation <> 0 THEN (SELECT collname FROM pg_collation WHERE pg_collation.oid = attcollation) END))
FROM relations JOIN pg_attribute ON attrelid = relations.oid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attnum > 0 AND NOT attisdropped
UNION ALL
SELECT NULL, format('constraint %s.%s: %s%s', relname, conname, pg_get_constraintdef(pg_constraint.oid),
    CASE WHEN NOT convalidated THEN ', not validated' END)
FROM relations JOIN pg_constraint ON conrelid = relations.oid WHERE contype IN ('p', 'u', 'c', 'f', 'x')
UNION ALL
SELECT NULL, format('%s %s: %s%s', CASE WHEN indisunique OR indexprs IS NOT NULL OR indpred IS NOT NULL THEN 'index' ELSE 'plain index' END,
    relation.relname, pg_get_indexdef(indexrelid), CASE WHEN NOT (indisvalid AND indisready AND indislive) THEN ', not valid' END)
FROM relations JOIN pg_index ON indrelid = relations.oid JOIN pg_class AS relation ON relation.oid = indexrelid
UNION ALL
SELECT NULL, format('trigger %s.%s: %s, %s', relname, tgname, CASE tgenabled WHEN 'A' THEN 'always' WHEN 'D' THEN 'never' ELSE 'at times' END,
    pg_get_triggerdef(pg_trigger.oid))
FROM relations JOIN pg_trigger ON tgrelid = relations.oid WHERE NOT tgisinternal
UNION ALL
SELECT NULL, format('rule %s.%s: %s', relname, rulename, ev_enabled)
FROM relations JOIN pg_rewrite ON ev_class = relations.oid
UNION ALL
SELECT NULL, format('policy %s.%s', relname, polname) FROM relations JOIN pg_policy ON polrelid = relations.oid
UNION ALL
SELECT NULL, format('child %s of %s', inhrelid::regclass, relname) FROM relations JOIN pg_inherits ON inhparent = relations.oid
UNION ALL
SELECT NULL, format('%s: %s', name, what) FROM functions
UNION ALL
SELECT NULL, format('owner of %s: %s', owned.name, pg_get_userbyid(owned.owner))
FROM (SELECT relname::text AS name, relowner AS owner FROM relations UNION ALL SELECT name, proowner FROM functions) AS owned
WHERE owned.owner <> (SELECT relowner FROM relations WHERE relname = 'head')
UNION ALL
SELECT CASE grantee WHEN 0 THEN 'everyone' ELSE pg_get_userbyid(grantee)::text END,
    format('may %s%s', what, CASE WHEN is_grantable THEN ', and let others' END)
FROM grants
ORDER BY fact
